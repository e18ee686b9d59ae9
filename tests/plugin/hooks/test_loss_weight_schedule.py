"""Scheduled loss weights on mmengine's Runner and mmseg's EncoderDecoder: what is used, logged, saved and refused."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import Dataset

from provecfg.errors import ProvecfgError
from provecfg.plugin.hooks import LossWeightScheduleHook
from provecfg.plugin.hooks.weight_schedules import first_difference, plain, schedule_from

pytestmark = [
    pytest.mark.stack,
    # Upstream's decode heads build their losses that way.
    pytest.mark.filterwarnings("ignore:``build_loss`` would be deprecated soon:UserWarning"),
]

FOCAL = {"head": "decode_head", "loss_name": "loss_focal"}
LINEAR = {**FOCAL, "kind": "linear", "start": 0.5, "end": 0.1, "begin_iter": 2, "end_iter": 6}
LINEAR_WEIGHTS = [0.5, 0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1]


@MODELS.register_module(name="ToyStages", force=True)
class ToyStages(BaseModule):
    """Two convolutions, each a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first = self.first(image)
        return first, self.second(first.relu())


@MODELS.register_module(name="WeightlessLoss", force=True)
class WeightlessLoss(nn.Module):
    loss_name = "loss_weightless"

    def forward(self, logits: torch.Tensor, labels: torch.Tensor, **_: Any) -> torch.Tensor:
        return logits.square().mean()


@MODELS.register_module(name="FixedWeightLoss", force=True)
class FixedWeightLoss(WeightlessLoss):
    loss_name = "loss_fixed"
    loss_weight = property(lambda self: 0.5)


class ToySamples(Dataset):
    """What mmseg's datasets give: images, and samples with label maps of (8, 8)."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(index))
        sample = SegDataSample(gt_sem_seg=PixelData(data=(image[:1] > 0).long()))
        return {"inputs": image, "data_samples": sample}


class WeightsUsed(Hook):
    """Writes what the losses weigh when an iteration has used them."""

    priority = "LOWEST"

    def __init__(self, path: Path) -> None:
        self.path = path

    def after_train_iter(self, runner: Any, **_: Any) -> None:
        model = getattr(runner.model, "module", runner.model)
        heads = {"decode_head": model.decode_head}
        heads |= {f"auxiliary_head[{index}]": head for index, head in enumerate(getattr(model, "auxiliary_head", []))}
        weights = {
            f"{name}.{loss.loss_name}": getattr(loss, "loss_weight", None)
            for name, head in heads.items()
            for loss in head.loss_decode
        }
        with open(self.path, "a") as file:
            file.write(json.dumps({"iter": runner.iter, **weights}) + "\n")


def head(index: int, *more: dict[str, Any]) -> dict[str, Any]:
    losses = [
        {"type": "CrossEntropyLoss", "avg_non_ignore": True, "loss_name": "loss_ce"},
        {"type": "SoftmaxFocalLoss", "loss_weight": 1.0, "loss_name": "loss_focal"},
        *more,
    ]
    arguments = {"in_channels": 4, "in_index": index, "channels": 4, "num_convs": 0, "concat_input": False}
    return {"type": "FCNHead", **arguments, "num_classes": 3, "dropout_ratio": 0, "loss_decode": losses}


@pytest.fixture
def scheduled(toy_run):
    """Make a run of so many iterations; its model has a decode head and two auxiliary ones."""

    def make(name: str, *schedules: dict[str, Any], iters: int = 8, lr: float = 0.1, losses: tuple = (), **hook: Any):
        run = toy_run(name, scores=[], patience=None, max_iters=iters)
        model = {
            "type": "EncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor", "size": (8, 8)},
            "backbone": {"type": "ToyStages"},
            "decode_head": head(1, *losses),
            "auxiliary_head": [head(0), head(1)],
        }
        loader = {**run.loader("InfiniteSampler"), "dataset": ToySamples()}
        loader["collate_fn"] = {"type": "pseudo_collate"}
        run.overrides = {
            "model": model,
            "default_scope": "mmseg",
            "train_dataloader": loader,
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": lr, "momentum": 0.9 if lr else 0}},
            **dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator")),
        }
        run.checkpoint = {"save_best": None}
        run.extra_hooks = [WeightsUsed(run.work_dir / "weights.jsonl")]
        if schedules:
            run.extra_hooks.append({"type": "LossWeightScheduleHook", "schedules": list(schedules), **hook})
        return run

    return make


def used(run: Any, target: str = "decode_head.loss_focal") -> list[float]:
    """What the loss weighed in each iteration; in one that was made again, the last time."""
    lines = map(json.loads, (run.work_dir / "weights.jsonl").read_text().splitlines())
    return list({line["iter"]: line[target] for line in lines}.values())


def logged(run: Any) -> list[dict[str, float]]:
    """The scalars of each iteration as mmengine wrote them."""
    (path,) = run.work_dir.glob("*/vis_data/scalars.json")
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- The schedules themselves


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_ramp_has_exactly_its_two_weights_at_its_ends_and_outside(kind):
    schedule = schedule_from({"kind": kind, "start": 0.7, "end": 0.1, "begin_iter": 10, "end_iter": 20})
    assert {schedule.at(i) for i in range(11)} == {0.7}
    assert {schedule.at(i) for i in range(20, 40)} == {0.1}
    inside = [schedule.at(i) for i in range(10, 21)]
    assert inside == sorted(inside, reverse=True)
    assert schedule.at(15) == pytest.approx(0.4)


def test_a_linear_one_goes_down_evenly_and_a_cosine_slowly_at_both_ends():
    linear, cosine = (
        schedule_from({"kind": kind, "start": 1.0, "end": 0.0, "begin_iter": 0, "end_iter": 4})
        for kind in ("linear", "cosine")
    )
    assert [linear.at(i) for i in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    assert [cosine.at(i) for i in range(5)] == pytest.approx(
        [1, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4, 0]
    )


def test_a_ramp_ends_with_the_run_unless_said():
    fields = {"kind": "linear", "start": 0.0, "end": 1.0}
    assert [schedule_from(fields, 4).at(i) for i in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    # A run that is cut short before the ramp begins.
    assert [schedule_from({**fields, "begin_iter": 50}, 4).at(i) for i in range(4)] == [0] * 4


def test_steps_change_in_their_milestones():
    schedule = schedule_from({"kind": "steps", "milestones": [2, 3], "values": [0.5, 0, 0.1]})
    assert [schedule.at(i) for i in range(5)] == [0.5, 0.5, 0, 0.1, 0.1]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "constant", "value": 0.3},
        {"kind": "cosine", "start": 1, "end": 0, "begin_iter": 3, "end_iter": 9},
        {"kind": "steps", "milestones": [2], "values": [0.1, 0.2]},
    ],
    ids=lambda fields: fields["kind"],
)
def test_plain_data_makes_the_same_schedule(fields):
    schedule = schedule_from(fields)
    assert plain(schedule) == fields
    assert schedule_from(plain(schedule)) == schedule


def test_schedules_are_compared_by_what_they_give():
    constant = schedule_from({"kind": "constant", "value": 0.5})
    steps = schedule_from({"kind": "steps", "milestones": [4], "values": [0.5, 0.1]})
    assert first_difference(constant, steps, 4) is None
    assert first_difference(constant, steps, 5) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cosin"}, "schedules[0]: unknown kind 'cosin'; did you mean 'cosine'?"),
        ({"kind": None}, "schedules[0]: no kind given; known: constant, linear, cosine, steps"),
        ({"begin": 3}, "schedules[0]: unknown argument 'begin'; did you mean 'begin_iter'? (of kind 'linear')"),
        ({"end": -0.1}, "schedules[0]: end is -0.1, must be a finite number >= 0"),
        ({"start": math.inf}, "schedules[0]: start is inf, must be a finite number >= 0"),
        ({"start": True}, "schedules[0]: start is True, must be a finite number >= 0"),
        ({"begin_iter": 6}, "schedules[0]: begin_iter is 6, must be less than end_iter, 6"),
        ({"begin_iter": 1.5}, "schedules[0]: begin_iter is 1.5, must be a whole number >= 0"),
        ({"head": None}, "schedules[0]: head is None, must be a name"),
        ({"loss_name": 3}, "schedules[0]: loss_name is 3, must be a name"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_no_schedule_is_refused_when_the_hook_is_built(changes, message):
    with pytest.raises(ProvecfgError) as caught:
        LossWeightScheduleHook([{**LINEAR, **changes}])
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"milestones": [4, 4], "values": [1, 2, 3]}, "milestones is [4, 4], must rise, from more than 0"),
        ({"milestones": [0], "values": [1, 2]}, "milestones is [0], must rise, from more than 0"),
        ({"milestones": [4], "values": [1]}, "1 values for 1 milestones, must be one more"),
        ({"milestones": [4], "values": [1, -1]}, "values[1] is -1, must be a finite number >= 0"),
        ({"milestones": 4, "values": [1, 2]}, "milestones is 4, must be a list of one or more"),
        ({"values": [1]}, "kind 'steps' needs milestones"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_steps_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ProvecfgError) as caught:
        schedule_from({"kind": "steps", **fields})
    assert caught.value.message.startswith(message)


def test_two_schedules_of_one_loss_are_refused():
    with pytest.raises(ProvecfgError, match=r"two schedules of decode_head\.loss_focal"):
        LossWeightScheduleHook([LINEAR, {**FOCAL, "kind": "constant", "value": 1}])


@pytest.mark.parametrize("schedules", [[], None, LINEAR])
def test_no_schedules_are_refused(schedules):
    with pytest.raises(ProvecfgError, match="must be a list of one or more dicts"):
        LossWeightScheduleHook(schedules)


# ---- In a run


def test_each_iteration_uses_the_weight_of_its_number(scheduled):
    steps = {"head": "auxiliary_head[1]", "loss_name": "loss_ce", "kind": "steps", "milestones": [3], "values": [0, 2]}
    run = scheduled("run", LINEAR, steps)
    run.train()
    assert used(run) == pytest.approx(LINEAR_WEIGHTS)
    assert used(run, "auxiliary_head[1].loss_ce") == [0, 0, 0, 2, 2, 2, 2, 2]
    for other in ("decode_head.loss_ce", "auxiliary_head[0].loss_focal", "auxiliary_head[1].loss_focal"):
        assert used(run, other) == [1] * 8


def test_the_terms_are_weighted_and_their_sum_is_the_total(scheduled):
    plain_run, run = scheduled("plain", lr=0, iters=6), scheduled("scheduled", LINEAR, lr=0, iters=6)
    runner = run.train()
    history = {
        name: runner.message_hub.get_scalar(f"train/{name}").data[0] for name in logged(run)[0] if "loss" in name
    }
    unweighted = plain_run.train().message_hub.get_scalar("train/decode.loss_focal").data[0]
    assert history["decode.loss_focal"] == pytest.approx(LINEAR_WEIGHTS[:6] * unweighted)
    terms = [values for name, values in history.items() if name != "loss"]
    assert len(terms) == 6  # the weights are none of them
    assert history["loss"] == pytest.approx(sum(terms))


def test_the_weights_are_logged_as_they_are_now(scheduled):
    first = {"head": "auxiliary_head[0]", "loss_name": "loss_focal", "kind": "constant", "value": 0.25}
    run = scheduled("run", LINEAR, first)
    run.train()
    # Not averaged over the iterations before, as mmengine does with what has "loss" in its key.
    assert [line["decode_head.focal_weight"] for line in logged(run)] == pytest.approx(LINEAR_WEIGHTS)
    assert [line["auxiliary_head_0.focal_weight"] for line in logged(run)] == [0.25] * 8
    (log,) = run.work_dir.glob("*/*.log")
    assert not [line for line in log.read_text().splitlines() if "WARNING" in line and "weight" in line]


def test_a_resumed_run_is_one_in_a_piece(scheduled, at):
    def fail(runner: Any) -> None:
        raise OSError("power cut")

    whole, cut = scheduled("whole", LINEAR), scheduled("cut", LINEAR)
    straight = whole.train()
    cut.extra_hooks.append(at("after_train_iter", 5, fail, priority="VERY_LOW"))
    with pytest.raises(OSError, match="power cut"):
        cut.train()
    cut.extra_hooks.pop()
    resumed = cut.train(resume=True)  # from iteration 4
    assert used(cut) == used(whole)
    for name, value in straight.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_the_state_in_the_checkpoint_is_plain(scheduled):
    run = scheduled("run", {**FOCAL, "kind": "cosine", "start": 1, "end": 0}, iters=2)
    run.train()
    checkpoint = torch.load(run.work_dir / "iter_2.pth", weights_only=True)
    assert checkpoint["loss_weight_schedules"] == {
        "decode_head.loss_focal": {"kind": "cosine", "start": 1, "end": 0, "begin_iter": 0, "end_iter": 2}
    }


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (LINEAR, {**LINEAR, "start": 0.6}, r"decode_head\.loss_focal was 0\.5 in iteration 0, now is 0\.6"),
        (LINEAR, {**LINEAR, "head": "auxiliary_head[0]"}, "had a schedule and has none now; .* had no schedule"),
        (None, LINEAR, r"decode_head\.loss_focal had no schedule"),
    ],
    ids=["other values", "another loss", "none"],
)
def test_resuming_with_another_past_is_refused(scheduled, first, second, message):
    run = scheduled("run", *filter(None, [first]), iters=4)
    run.train()
    run.max_iters = 8
    run.extra_hooks = [{"type": "LossWeightScheduleHook", "schedules": [second]}]
    with pytest.raises(ProvecfgError, match=f"resumed at iteration 4 with other loss weights: .*{message}"):
        run.train(resume=True)
    run.extra_hooks[0]["strict"] = False
    run.train(resume=True)
    assert "iter_8.pth" in run.files()


def test_resuming_with_another_future_is_taken(scheduled):
    run = scheduled("run", LINEAR, iters=2)
    run.train()
    run.max_iters = 4
    run.extra_hooks[1]["schedules"] = [{**FOCAL, "kind": "steps", "milestones": [3], "values": [0.5, 0]}]
    run.train(resume=True)
    assert used(run) == [0.5, 0.5, 0.5, 0]


def test_loading_weights_alone_begins_the_schedule_anew(scheduled):
    first = scheduled("first", LINEAR, iters=2)
    first.train()
    second = scheduled("second", {**LINEAR, "start": 0.9}, iters=2)
    second.train(load_from=str(first.work_dir / "iter_2.pth"))
    assert used(second) == [0.9, 0.9]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"head": "decode_heads"},
            "the model has no head 'decode_heads' with losses; "
            "it has decode_head, auxiliary_head[0], auxiliary_head[1]",
        ),
        (
            {"head": "auxiliary_head"},
            "the model has no head 'auxiliary_head' with losses; "
            "it has auxiliary_head[0], auxiliary_head[1], decode_head",
        ),
        (
            {"loss_name": "focal"},
            "decode_head has no loss 'focal'; it has loss_focal, loss_ce, loss_fixed, loss_twice, loss_weightless",
        ),
        ({"loss_name": "loss_twice"}, "2 losses of decode_head are named 'loss_twice'"),
        (
            {"loss_name": "loss_weightless"},
            "'loss_weightless' of decode_head, a WeightlessLoss, has no number `loss_weight` to set",
        ),
        ({"loss_name": "loss_fixed"}, "`loss_weight` of 'loss_fixed' of decode_head, a FixedWeightLoss, cannot be set"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_the_model_does_not_have_is_refused_before_the_run(scheduled, changes, message):
    twice = [{"type": "SoftmaxFocalLoss", "loss_name": "loss_twice"}] * 2
    losses = ({"type": "WeightlessLoss"}, {"type": "FixedWeightLoss"}, *twice)
    run = scheduled("run", {**LINEAR, **changes}, losses=losses)
    with pytest.raises(ProvecfgError) as caught:
        run.train()
    assert caught.value.message == message
    assert not (run.work_dir / "weights.jsonl").exists()


def test_a_second_hook_is_refused(scheduled):
    run = scheduled("run", LINEAR)
    run.extra_hooks *= 2
    with pytest.raises(ProvecfgError, match="two LossWeightScheduleHooks"):
        run.train()


def test_a_loss_at_several_scales_is_weighted_as_a_whole(scheduled):
    multi = {"type": "MultiScaleLoss", "loss": {"type": "SegDiceLoss", "loss_weight": 2.0}, "scales": [1, 0.5]}
    loss = {**multi, "loss_name": "loss_scales"}
    target = {"head": "decode_head", "loss_name": "loss_scales", "kind": "constant", "value": 0}
    run = scheduled("run", target, losses=(loss,), iters=2)
    assert run.train().message_hub.get_scalar("train/decode.loss_scales").data[0].tolist() == [0, 0]


def test_mask2former_losses_have_weights_too():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decode_head = nn.Module()
            self.decode_head.loss_cls = MODELS.build({"type": "mmdet.CrossEntropyLoss", "loss_weight": 2.0})
            self.decode_head.loss_decode = nn.ModuleList([MODELS.build({"type": "SoftmaxFocalLoss"})])

    from provecfg.plugin.hooks.loss_weight_schedule import _find_loss

    model = Model()
    assert _find_loss(model, "decode_head", "loss_cls").loss_weight == 2.0
    assert _find_loss(model, "decode_head", "loss_focal") is model.decode_head.loss_decode[0]


def _train_as_rank(rank: int, run: Any, file: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", **threads}
    run.extra_hooks[0] = WeightsUsed(run.work_dir / f"weights{rank}.jsonl")
    run.overrides["launcher"] = "pytorch"
    run.overrides["cfg"] = {"model_wrapper_cfg": {"type": "MMDistributedDataParallel", "device_ids": None}}
    run.train()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_every_process_of_a_distributed_run_uses_the_same_weights(scheduled, tmp_path):
    run = scheduled("run", LINEAR)
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_train_as_rank, args=(rank, run, tmp_path / "init")) for rank in (0, 1)]
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads: torch's, which the children do not use.
        warnings.simplefilter("ignore", DeprecationWarning)
        for process in ranks:
            process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]
    for rank in (0, 1):
        lines = map(json.loads, (run.work_dir / f"weights{rank}.jsonl").read_text().splitlines())
        assert [line["decode_head.loss_focal"] for line in lines] == pytest.approx(LINEAR_WEIGHTS)
