from __future__ import annotations

from typing import Any

import pytest

from provecfg.generate.plan import Plan, Planner, plans_of
from provecfg.study.load import study_from_fields


def plans(**fields: Any) -> dict[str, Plan]:
    study, problems = study_from_fields({"name": "test", **fields})
    assert study is not None, problems
    return {plan.name: plan for plan in plans_of(study)}


def one(**fields: Any) -> Plan:
    (plan,) = plans(**{"models": ["pspnet_r50"], "losses": {"auxiliary": ["none"]}, **fields}).values()
    return plan


CONTRACT_MODELS = (
    "deeplabv3plus_r50",
    "pspnet_r50",
    "segformer_mit-b3",
    "segnext_mscan-b",
    "hrnet_hr48",
    "mask2former_swin-b",
)


def test_the_loss_study_is_the_24_cells_of_the_contract() -> None:
    assert list(plans()) == [
        f"{model}_bdd10k_{loss}" for model in CONTRACT_MODELS for loss in ("ce", "focal", "lovasz", "boundary")
    ]


def test_cross_entropy_comes_first_at_its_heads_weight_and_auxiliary_losses_follow_at_0_3() -> None:
    for plan in plans().values():
        heads = [plan.decode_losses, *(head.losses for head in plan.auxiliary_heads)]
        primaries = [1.0, 0.4] if plan.model.takes_pixel_losses else [None]
        for losses, primary in zip(heads, primaries, strict=False):
            if primary is not None:
                assert losses[0] == {
                    "type": "CrossEntropyLoss",
                    "use_sigmoid": False,
                    "avg_non_ignore": True,
                    "loss_weight": primary,
                }
                losses = losses[1:]
            assert [loss["loss_weight"] for loss in losses] == [0.3] * len(losses)


def test_auxiliary_losses_have_the_seeds_parameters() -> None:
    by_loss = {name.rsplit("_", 1)[1]: plan.decode_losses[-1] for name, plan in plans(models=["pspnet_r50"]).items()}
    assert by_loss["focal"] == {
        "type": "SoftmaxFocalLoss",
        "reduction": "mean",
        "gamma": 2.0,
        "alpha": 0.5,
        "loss_weight": 0.3,
        "loss_name": "loss_focal",
    }
    assert by_loss["lovasz"] == {
        "type": "SegLovaszLoss",
        "loss_type": "multi_class",
        "reduction": "mean",
        "classes": "all",
        "per_image": True,
        "loss_weight": 0.3,
        "loss_name": "loss_lovasz",
    }
    assert by_loss["boundary"]["type"] == "SegBoundaryLoss"


def test_only_models_of_the_seeds_table_have_an_auxiliary_head() -> None:
    with_head = {plan.model.name for plan in plans().values() if plan.auxiliary_heads}
    assert with_head == {"deeplabv3plus_r50", "pspnet_r50", "hrnet_hr48"}


def test_the_monitor_is_a_metric_that_the_evaluator_makes() -> None:
    plan = one()
    (stopping,) = [hook for hook in plan.custom_hooks if hook["type"] == "ResumableEarlyStoppingHook"]
    made = {f"{plan.evaluator['prefix']}/{metric}" for metric in ("aAcc", "mIoU", "mAcc")}
    assert stopping["monitor"] in made
    assert plan.default_hooks["checkpoint"]["save_best"] == stopping["monitor"]


def test_what_a_validation_counts_is_kept() -> None:
    plan = one()
    assert plan.evaluator == {"type": "SegCountsMetric", "iou_metrics": ["mIoU"], "prefix": "val"}
    assert {"type": "ValidationCountsHook"} in plan.custom_hooks


@pytest.mark.parametrize("max_iters", [1, 7, 200, 9999, 20000, 80000, 160000])
@pytest.mark.parametrize("model", ["pspnet_r50", "segformer_mit-b3"])
def test_schedulers_validations_and_the_run_end_together(model: str, max_iters: int) -> None:
    plan = one(models=[model], schedule={"max_iters": max_iters})
    interval = plan.train_cfg["val_interval"]
    assert 1 <= interval <= min(5000, max_iters)
    assert plan.param_scheduler[0]["begin"] == 0
    assert plan.param_scheduler[-1]["end"] == max_iters
    for earlier, later in zip(plan.param_scheduler, plan.param_scheduler[1:], strict=False):
        assert earlier["end"] == later["begin"]
    assert plan.default_hooks["checkpoint"]["interval"] == interval


@pytest.mark.parametrize("max_iters", [200, 20000, 80000])
def test_early_stopping_can_stop_a_run_of_any_length(max_iters: int) -> None:
    plan = one(schedule={"max_iters": max_iters})
    assert (5 + 1) * plan.train_cfg["val_interval"] < max_iters


def test_axes_that_are_not_the_default_are_named() -> None:
    names = plans(models=["pspnet_r50"], seeds=[1, 2], losses={"auxiliary": ["none", ["focal", "lovasz"]]})
    assert list(names) == [
        "pspnet_r50_bdd10k_ce_s1",
        "pspnet_r50_bdd10k_ce_s2",
        "pspnet_r50_bdd10k_focal-lovasz_s1",
        "pspnet_r50_bdd10k_focal-lovasz_s2",
    ]


def test_cells_that_differ_in_a_value_have_names_that_differ() -> None:
    axis = [{"type": "focal", "weight": weight} for weight in (0.1, 0.3, 0.5)] + [{"type": "focal", "gamma": 1}]
    assert list(plans(models=["pspnet_r50"], losses={"auxiliary": axis})) == [
        "pspnet_r50_bdd10k_focal-weight0.1",
        "pspnet_r50_bdd10k_focal",
        "pspnet_r50_bdd10k_focal-weight0.5",
        "pspnet_r50_bdd10k_focal-gamma1",
    ]


def test_cells_of_a_study_differ_only_in_their_losses_and_name() -> None:
    by_loss = list(plans(models=["hrnet_hr48"]).values())
    own = {"name", "header", "work_dir", "decode_losses", "auxiliary_heads"}
    first = by_loss[0]
    for plan in by_loss[1:]:
        for field in Plan.__dataclass_fields__:
            assert field in own or getattr(plan, field) == getattr(first, field), field


def test_weights_are_an_axis_of_every_auxiliary_loss() -> None:
    names = plans(models=["pspnet_r50"], losses={"auxiliary": ["none", "focal"], "auxiliary_weights": [0.1, 0.3, 0.5]})
    assert list(names) == [
        "pspnet_r50_bdd10k_ce",
        "pspnet_r50_bdd10k_focal-weight0.1",
        "pspnet_r50_bdd10k_focal",
        "pspnet_r50_bdd10k_focal-weight0.5",
    ]


def test_class_weights_and_smoothing_need_our_cross_entropy() -> None:
    plan = one(losses={"primary": {"class_weight": [1.0] * 19, "label_smoothing": 0.1}, "auxiliary": ["none"]})
    assert plan.decode_losses == [
        {
            "type": "SegCrossEntropyLoss",
            "avg_non_ignore": True,
            "class_weight": [1.0] * 19,
            "label_smoothing": 0.1,
            "loss_weight": 1.0,
        }
    ]
    assert plan.name == "pspnet_r50_bdd10k_ce-weighted-smooth0.1"


def test_ohem_samples_in_the_decode_head() -> None:
    plan = one(losses={"ohem": {"min_kept": 1000}, "auxiliary": ["none"]})
    assert plan.decode_sampler == {"type": "HardPixelSampler", "thresh": 0.7, "min_kept": 1000}
    assert plan.name == "pspnet_r50_bdd10k_ce-ohem-minkept1000"


def test_deep_supervision_adds_a_head_with_every_loss_to_any_model() -> None:
    supervised = {"auxiliary": ["focal"], "deep_supervision": [{"stage": 1, "weight": 0.2}]}
    for plan in plans(losses=supervised).values():
        head = plan.auxiliary_heads[-1]
        assert (head.stage, head.in_channels) == (1, plan.model.stage_channels[1])
        assert [loss["loss_weight"] for loss in head.losses] == [0.2, 0.3]
        assert "0.2 CE[stage 1] + 0.3 focal[stage 1]" in plan.header.equation


def test_a_scheduled_weight_starts_where_its_schedule_does_and_reaches_every_head() -> None:
    spec = {"type": "lovasz", "schedule": {"kind": "cosine", "start": 0.5, "end": 0.1}}
    plan = one(losses={"auxiliary": [spec]}, schedule={"max_iters": 100})
    (hook,) = [hook for hook in plan.custom_hooks if hook["type"] == "LossWeightScheduleHook"]
    assert [schedule["head"] for schedule in hook["schedules"]] == ["decode_head", "auxiliary_head"]
    assert all({"kind", "start", "end"} < set(schedule) for schedule in hook["schedules"])
    assert plan.decode_losses[-1]["loss_weight"] == 0.5
    assert "(0.5 to 0.1) Lovasz[decode]" in plan.header.equation


def test_a_multi_scale_loss_holds_the_loss_that_it_wraps() -> None:
    plan = one(losses={"auxiliary": [{"type": "dice", "scales": [1, 0.5]}]})
    entry = plan.decode_losses[-1]
    assert (entry["type"], entry["loss"]["type"], entry["scales"]) == ("MultiScaleLoss", "SegDiceLoss", [1.0, 0.5])
    assert entry["loss_weight"] == 0.3
    assert "loss_weight" not in entry["loss"]


def test_no_pixel_loss_has_the_name_of_one_of_mask2formers_own() -> None:
    losses = ["focal", "lovasz", "boundary", "dice", "boundary_focal", "distance_boundary"]
    for plan in plans(models=["mask2former_swin-b"], losses={"auxiliary": losses}).values():
        assert plan.decode_losses[0]["loss_name"] not in ("loss_cls", "loss_mask", "loss_dice")


def test_the_digest_is_of_what_a_study_means_and_not_of_how_it_is_written() -> None:
    short, _ = study_from_fields({"name": "a"})
    long, _ = study_from_fields({"name": "a", "seeds": [42], "head_weights": {"decode": 1}})
    other, _ = study_from_fields({"name": "a", "seeds": [43]})
    assert short is not None
    assert long is not None
    assert other is not None
    assert Planner(short).digest == Planner(long).digest != Planner(other).digest


def test_an_optimizer_of_another_type_keeps_rate_and_decay_and_drops_foreign_arguments() -> None:
    plan = one(optimizer={"type": "AdamW", "lr": 1e-4})
    assert plan.optim_wrapper["optimizer"] == {"type": "AdamW", "lr": 1e-4, "weight_decay": 0.0005}


def test_amp_chooses_the_wrapper() -> None:
    assert one(runtime={"amp": True}).optim_wrapper["type"] == "AmpOptimWrapper"
    assert one().optim_wrapper["type"] == "OptimWrapper"


def test_no_workers_means_no_persistent_workers() -> None:
    assert one(data={"num_workers": 0}).train_dataloader["persistent_workers"] is False


def test_a_data_root_that_mmengine_would_not_read_back_is_written_as_it_is() -> None:
    assert one(data={"root": "data/bdd100k"}).train_dataloader["dataset"]["data_root"] == (
        "{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}"
    )
    assert one(data={"root": "my data (1)"}).train_dataloader["dataset"]["data_root"] == "my data (1)"


def test_early_stopping_can_be_left_out() -> None:
    plan = one(early_stopping=None)
    assert [hook["type"] for hook in plan.custom_hooks] == ["FiniteLossHook", "ValidationCountsHook"]
    assert plan.default_hooks["checkpoint"]["save_best"] == "val/mIoU"
