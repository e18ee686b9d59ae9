"""The rest of a training recipe: what a study says of it is what the config has, and passes validation."""

from __future__ import annotations

from typing import Any

import pytest

from provecfg.study.load import study_from_fields
from tests.generate.test_edits import complaints, plan_of

RECIPES: dict[str, dict[str, Any]] = {
    "cosine": {"schedule": {"decay": "cosine", "warmup_iters": 100}},
    "poly": {"schedule": {"decay": {"type": "poly", "power": 1.0}}},
    "step": {"schedule": {"decay": {"type": "step", "milestones": [0.5, 0.75], "gamma": 0.2}}},
    "constant": {"schedule": {"decay": "constant"}},
    "plateau": {"schedule": {"decay": "plateau", "warmup_iters": 50}},
    "epochs": {"schedule": {"max_epochs": 40}},
    "epochs, cosine": {"schedule": {"max_epochs": 40, "decay": "cosine", "warmup_iters": 100}},
    "optimizer": {"optimizer": {"type": "Adagrad", "lr": 0.01, "arguments": {"lr_decay": 0.001}}},
    "an optimizer that decays no weights": {"optimizer": {"type": "Rprop", "lr": 0.001}},
    "gradients": {"optimizer": {"accumulate": 4, "clip_grad_norm": 1.0, "scale_lr_from": 16}},
    "bfloat16": {"runtime": {"amp": True, "amp_dtype": "bfloat16"}},
    "ema": {"runtime": {"ema": {"momentum": 0.001}}},
    "trackers": {"runtime": {"trackers": ["tensorboard", "mlflow", "wandb"]}},
    "deterministic": {"runtime": {"deterministic": True}},
    "windows": {"inference": {"mode": "slide", "window": [256, 256]}},
    "tta": {"inference": {"tta_scales": [0.75, 1.0, 1.25]}},
    "Dice": {"metrics": ["mDice"], "early_stopping": {"monitor": "val/mDice"}},
    "F score": {"early_stopping": {"monitor": "val/mFscore"}},
}


@pytest.mark.parametrize("base", ["pspnet_r50", "segformer_mit-b3"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_passes_validation(recipe: dict[str, Any], base: str) -> None:
    assert complaints(plan_of(base, "focal", **recipe)) == []


def test_without_a_weight_decay_no_factor_multiplies_it() -> None:
    # mmengine's constructor: "base_wd should not be None"
    wrapper = plan_of("segformer_mit-b3", optimizer={"type": "Rprop"}).optim_wrapper
    assert wrapper["paramwise_cfg"] == {"custom_keys": {"pos_block": {}, "norm": {}, "head": {"lr_mult": 10.0}}}
    decays = plan_of("segformer_mit-b3", optimizer={"type": "Rprop", "weight_decay": 0.1}).optim_wrapper
    assert decays["paramwise_cfg"]["custom_keys"]["norm"] == {"decay_mult": 0.0}


def test_the_bases_own_decay_ends_where_the_run_does() -> None:
    knet = "knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512"  # 80000 iterations, milestones at 60000 and 72000
    warmup, steps = plan_of(knet, schedule={"max_iters": 8000}).param_scheduler
    assert (warmup["type"], warmup["end"]) == ("LinearLR", 800)
    # mmengine counts milestones from `begin`: 60000 is in its iteration 61000
    assert steps["milestones"] == [round(at * 7200 / 79000) for at in (60000, 72000)]
    assert (steps["begin"], steps["end"]) == (800, 8000)


def test_trackers_get_what_the_work_dir_gets_under_the_studys_name() -> None:
    def backends(**recipe: Any) -> list[dict[str, Any]]:
        return plan_of("pspnet_r50", **recipe).visualizer["vis_backends"]

    local = {"type": "LocalVisBackend"}
    assert backends() == [local]
    mlflow, wandb = backends(name="loss", runtime={"trackers": ["mlflow", "wandb"]})[1:]
    assert mlflow == {"type": "MLflowRunBackend", "exp_name": "loss"}
    assert wandb == {"type": "WandbRunBackend", "init_kwargs": {"project": "loss"}}


def test_decays_by_their_names() -> None:
    def last(**decay: Any) -> dict[str, Any]:
        return plan_of("pspnet_r50", schedule={"max_iters": 1000, "decay": decay}).param_scheduler[-1]

    assert last(type="step", milestones=[0.5]) == {
        "type": "MultiStepLR",
        "milestones": [500],
        "gamma": 0.1,
        "begin": 0,
        "end": 1000,
        "by_epoch": False,
    }
    assert last(type="plateau", patience=3)["monitor"] == "val/mIoU"
    assert plan_of("pspnet_r50", schedule={"decay": "constant"}).param_scheduler == []


def test_a_step_is_where_its_share_of_the_run_says_warmup_or_not() -> None:
    def steps(warmup_iters: int) -> dict[str, Any]:
        decay = {"type": "step", "milestones": [0.1, 0.5]}
        schedule = {"max_iters": 1000, "warmup_iters": warmup_iters, "decay": decay}
        return plan_of("pspnet_r50", schedule=schedule).param_scheduler[-1]

    assert steps(0)["milestones"] == [100, 500]
    assert (steps(100)["begin"], steps(100)["milestones"]) == (100, [0, 400])  # counted from `begin`
    assert steps(200)["milestones"] == [0, 300]


def test_a_run_of_epochs_counts_them_everywhere() -> None:
    plan = plan_of("segformer_mit-b3", schedule={"max_epochs": 16})
    assert plan.train_cfg == {"type": "EpochBasedTrainLoop", "max_epochs": 16, "val_interval": 2}
    assert plan.default_hooks["checkpoint"]["by_epoch"] is True
    assert plan.train_dataloader["sampler"] == {"type": "DefaultSampler", "shuffle": True}
    decay = plan.param_scheduler[-1]
    assert (decay["begin"], decay["end"], decay["by_epoch"], decay["convert_to_iter_based"]) == (0, 16, True, True)


def test_what_is_monitored_is_measured() -> None:
    plan = plan_of("pspnet_r50", early_stopping={"monitor": "val/mPrecision"})
    assert plan.evaluator["iou_metrics"] == ["mIoU", "mFscore"]
    assert plan.default_hooks["checkpoint"]["save_best"] == "val/mPrecision"


def test_an_unknown_decay_is_answered_with_the_nearest_one() -> None:
    study, (finding,) = study_from_fields({"name": "a", "schedule": {"decay": "cosin"}})
    assert study is None
    assert finding.message == "unknown decay 'cosin'; did you mean 'cosine'?"


def test_the_learning_rate_is_scaled_only_when_asked() -> None:
    assert plan_of("pspnet_r50").auto_scale_lr is None
    scaled = plan_of("pspnet_r50", optimizer={"scale_lr_from": 8})
    assert scaled.auto_scale_lr == {"enable": True, "base_batch_size": 8}


def test_training_can_start_from_a_checkpoint() -> None:
    assert plan_of("pspnet_r50", init_from="mine.pth").load_from == "mine.pth"
