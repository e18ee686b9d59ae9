from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, ParamSchedulerHook
from mmengine.optim import LinearLR, PolyLR
from mmengine.registry import DATA_SAMPLERS, HOOKS
from torch import nn

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.proof.built import Built
from provecfg.proof.clock import check as clock
from provecfg.proof.clock.events import dry_run
from provecfg.proof.clock.optimizer_groups import build_groups
from provecfg.proof.clock.schedulers import step_schedulers
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    # torch and mmengine warn of each other's deprecations.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

WARMUP = {"type": "LinearLR", "start_factor": 1e-3, "begin": 0, "end": 20, "by_epoch": False}
DECAY = {"type": "PolyLR", "power": 0.9, "eta_min": 0.0, "begin": 20, "end": 200, "by_epoch": False}
ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 200, "val_interval": 20}
EPOCHS = {"type": "EpochBasedTrainLoop", "max_epochs": 10, "val_interval": 2}
EPOCH_HOOKS = {
    "logger": {"type": "LoggerHook", "interval": 10},
    "checkpoint": {"type": "CheckpointHook", "interval": 2},
    "param_scheduler": {"type": "ParamSchedulerHook"},
}

GOOD: dict[str, Any] = {
    "train_cfg": ITERATIONS,
    "val_cfg": {"type": "ValLoop"},
    "val_evaluator": {"type": "IoUMetric"},
    "train_dataloader": {"batch_size": 2, "sampler": {"type": "InfiniteSampler"}, "dataset": {}},
    "val_dataloader": {"batch_size": 1, "sampler": {"type": "DefaultSampler"}, "dataset": {}},
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}},
    "param_scheduler": [WARMUP, DECAY],
    "default_hooks": {
        "logger": {"type": "LoggerHook", "interval": 10, "log_metric_by_epoch": False},
        "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 20, "max_keep_ckpts": 3},
        "param_scheduler": {"type": "ParamSchedulerHook"},
    },
    "log_processor": {"by_epoch": False},
}


class Loss(nn.Module):
    def __init__(self, loss_name: str) -> None:
        super().__init__()
        self.loss_name, self.loss_weight = loss_name, 0.7


class Model(nn.Module):
    """Four parameters in the backbone, one in the head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(2, 2, bias=False)
        self.decode_head = nn.Linear(1, 1, bias=False)
        self.decode_head.loss_decode = nn.ModuleList([Loss("loss_ce"), Loss("loss_focal")])


@pytest.fixture
def prove(tmp_path: Path):
    """Prove the clock of GOOD with other top-level keys."""

    def proved(built: bool = True, data_root: Path | None = None, **changes: Any) -> Section:
        subject = subject_of(tmp_path, data_root, changes)
        return clock.check(subject, Built(Model() if built else None, (64, 64)))

    return proved


def subject_of(work_dir: Path, data_root: Path | None = None, changes: dict[str, Any] | None = None) -> Subject:
    config = Config(copy.deepcopy({**GOOD, **(changes or {})}))
    return Subject(Path("config.py"), config, "cpu", data_root, work_dir)


def found(section: Section) -> list[tuple[str, str]]:
    return [(finding.problem.code, finding.key) for finding in section.findings]


def said(section: Section) -> str:
    return " | ".join(finding.message for finding in section.findings)


def test_a_run_is_told_from_its_first_iteration_to_its_last(prove) -> None:
    section = prove()
    assert section.findings == ()
    assert section.lines == (
        "200 iterations",
        "validates 10 times: 20, 40, ..., 200",
        "logs every 10 iterations",
        "saves checkpoints 10 times: 20, 40, ..., 200, the last 3 are kept",
        "SGD: lr 0.1, weight decay 0.01",
        "lr 0.0001, up to 0.1 at iteration 20, down to 0 at iteration 200",
    )
    assert section.is_proved


def test_the_evidence_is_plain_data(prove) -> None:
    evidence = prove().evidence
    assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence
    (curve,) = evidence["curves"]
    assert len(curve["points"]) == 50
    assert curve["points"][0] == [0, pytest.approx(1e-4)]
    assert curve["points"][-1] == [199, 0.0]


def test_the_curve_is_that_of_the_real_schedulers_stepped_by_the_real_hook(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    arguments = [{key: value for key, value in scheduler.items() if key != "type"} for scheduler in (WARMUP, DECAY)]
    runner = SimpleNamespace(param_schedulers=[LinearLR(optimizer, **arguments[0]), PolyLR(optimizer, **arguments[1])])
    expected = []
    for iteration in range(200):
        expected.append(optimizer.param_groups[0]["lr"])
        ParamSchedulerHook().after_train_iter(runner, iteration)
    run = dry_run(subject_of(tmp_path))
    assert run.runner is not None
    build_groups(run.runner, Model())
    (schedule,) = step_schedulers(run.runner, 200, None)
    assert schedule.curves[0].values.tolist() == expected


def test_iterations_that_are_skipped_are_those_in_which_nothing_falls(prove) -> None:
    class Watching(CheckpointHook):
        """The same, of a class whose iterations are not skipped."""

        def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
            super().after_train_iter(*args, **kwargs)

    HOOKS.register_module(module=Watching, name="WatchingEveryIteration", force=True)
    checkpoint = {"by_epoch": False, "interval": 7, "save_begin": 30}
    loop = {**ITERATIONS, "val_interval": 11, "val_begin": 40, "dynamic_intervals": [(100, 13)]}
    quick, slow = (
        prove(
            train_cfg=loop,
            default_hooks={**GOOD["default_hooks"], "checkpoint": {"type": kind, **checkpoint}},
        ).evidence
        for kind in ("CheckpointHook", "WatchingEveryIteration")
    )
    assert quick == slow
    assert quick["validations"]["at"][0] == 44
    assert quick["checkpoints"]["default_hooks.checkpoint"]["at"][:2] == [30, 37]


def scheduled(*schedulers: dict[str, Any]) -> dict[str, Any]:
    return {"param_scheduler": [dict(each) for each in schedulers]}


def hooks(**changed: Any) -> dict[str, Any]:
    declared = copy.deepcopy(GOOD["default_hooks"])
    for name, change in changed.items():
        declared[name] = {**declared[name], **change} if change is not None else None
    return {"default_hooks": declared}


def sampler(kind: str, part: str = "train") -> dict[str, Any]:
    return {f"{part}_dataloader": {"batch_size": 2, "sampler": {"type": kind}, "dataset": {}}}


FAULTS: dict[str, tuple[dict[str, Any], list[tuple[str, str]], str]] = {
    "a rate that is complex": (
        scheduled(WARMUP, {**DECAY, "end": 150.5}),
        [("PROOF054", "param_scheduler[1]")],
        "lr is nan at iteration 151",
    ),
    "interval of zero": (
        {"train_cfg": {**ITERATIONS, "val_interval": 0}},
        [("PROOF040", "train_cfg.val_interval")],
        "ZeroDivisionError",
    ),
    "arguments of another loop": (
        {"train_cfg": {"type": "EpochBasedTrainLoop", "max_iters": 200}},
        [("PROOF040", "train_cfg")],
        "max_iters",
    ),
    "interval that is no number": (
        hooks(checkpoint={"interval": "20"}),
        [("PROOF040", "default_hooks.checkpoint")],
        "TypeError",
    ),
    "endless epoch": (
        {"train_cfg": EPOCHS, "param_scheduler": None},
        [("PROOF041", "train_dataloader.sampler")],
        "waits for the end of an epoch",
    ),
    "endless validation": (
        sampler("InfiniteSampler", "val"),
        [("PROOF041", "val_dataloader.sampler")],
        "a validation waits",
    ),
    "empty run": ({"train_cfg": {**ITERATIONS, "max_iters": 0}}, [("PROOF042", "train_cfg.max_iters")], "0 iterations"),
    "data that starts anew": (
        sampler("DefaultSampler"),
        [("PROOF043", "train_dataloader.sampler")],
        "DefaultSampler ends after each pass",
    ),
    "validation after the end": (
        {"train_cfg": {**ITERATIONS, "val_interval": 1600}},
        [("PROOF044", "train_cfg.val_interval")],
        "val_interval is 1600 and the run has 200",
    ),
    "validation turned off by a negative number": (
        {"train_cfg": {**ITERATIONS, "val_interval": -1}},
        [("PROOF044", "train_cfg.val_interval")],
        "it is validated 200 times in 200 iterations",
    ),
    "validation that begins after the end": (
        {"train_cfg": {**ITERATIONS, "val_begin": 300}},
        [("PROOF044", "train_cfg.val_begin")],
        "none falls within the 200",
    ),
    "checkpoints on the clock of epochs": (
        hooks(checkpoint={"by_epoch": True}),
        [("PROOF045", "default_hooks.checkpoint.by_epoch")],
        "its only checkpoint comes at the end, after 200",
    ),
    "checkpoint after the end": (
        hooks(checkpoint={"interval": 500, "save_last": False}),
        [("PROOF045", "default_hooks.checkpoint.interval")],
        "no checkpoint is written: interval is 500",
    ),
    "end that is not saved": (
        hooks(checkpoint={"interval": 30, "save_last": False}),
        [("PROOF046", "default_hooks.checkpoint.save_last")],
        "after 180 of 200",
    ),
    "no log": (hooks(logger={"interval": 300}), [("PROOF047", "default_hooks.logger.interval")], "no line of training"),
    "metrics on the clock of epochs": (
        hooks(logger={"log_metric_by_epoch": True}),
        [("PROOF047", "default_hooks.logger.log_metric_by_epoch")],
        "all 10 validations are logged at step 0",
    ),
    "log on the clock of epochs": (
        {"log_processor": {"by_epoch": True}},
        [("PROOF047", "log_processor.by_epoch")],
        "counts epochs",
    ),
    "optimizer of another name": (
        {"optim_wrapper": {"optimizer": {"type": "SDG", "lr": 0.1}}},
        [("PROOF048", "optim_wrapper.optimizer.type")],
        "no optimizer is registered as 'SDG'",
    ),
    "argument that a scheduler does not have": (
        scheduled(WARMUP, {**DECAY, "eta_mn": 0}),
        [("PROOF048", "param_scheduler[1]")],
        "eta_mn",
    ),
    "scheduler that fails on the way": (
        scheduled({"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 100, "by_epoch": False}),
        [("PROOF048", "param_scheduler[0]")],
        "fails at its step 101: ValueError",
    ),
    "scheduler on the clock of epochs": (
        scheduled(WARMUP, {key: value for key, value in DECAY.items() if key != "by_epoch"}),
        [("PROOF050", "param_scheduler[1].by_epoch")],
        "PolyLR counts epochs",
    ),
    "nobody steps": (
        hooks(param_scheduler=None),
        [("PROOF050", "default_hooks.param_scheduler")],
        "no ParamSchedulerHook",
    ),
    "decay that outlasts the run": (
        scheduled(WARMUP, {**DECAY, "end": 1600}),
        [("PROOF051", "param_scheduler[1].end")],
        "PolyLR ends at 1600, and is stepped 200 times",
    ),
    "decay after the run": (
        scheduled(WARMUP, {**DECAY, "begin": 250, "end": 400}),
        [("PROOF051", "param_scheduler[1].begin")],
        "begins at 250",
    ),
    "milestone after the run": (
        scheduled({"type": "MultiStepLR", "milestones": [100, 300], "by_epoch": False}),
        [("PROOF051", "param_scheduler[0].milestones")],
        "at 300 is never taken",
    ),
    "half a cosine": (
        scheduled({"type": "CosineAnnealingLR", "T_max": 400, "by_epoch": False}),
        [("PROOF051", "param_scheduler[0].T_max")],
        "T_max of CosineAnnealingLR is 400 over a stretch of 200",
    ),
    "warmup that outlasts the run": (
        scheduled({**WARMUP, "end": 300}),
        [("PROOF052", "param_scheduler[0].end")],
        "lr reaches 0.06659",  # 0.1 * (0.001 + 0.999 * 199 / 299), in the 200th iteration
    ),
    "warmup of one step": (
        scheduled({**WARMUP, "end": 1}, {**DECAY, "begin": 1}),
        [("PROOF052", "param_scheduler[0].end")],
        "leaves lr at 0.001 of its base",
    ),
    "decay to where it begins": (
        scheduled({**DECAY, "begin": 0, "eta_min": 0.1}),
        [("PROOF053", "param_scheduler[0]")],
        "it is 0.1 at first and 0.1 at the end",
    ),
    "step after the run": (
        scheduled({"type": "StepLR", "step_size": 500, "by_epoch": False}),
        [("PROOF053", "param_scheduler[0]")],
        "StepLR is declared",
    ),
    "no rate": (
        {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.0}}},
        [("PROOF054", "optim_wrapper.optimizer.lr")],
        "nothing is trained",
    ),
    "zero from the middle on": (
        scheduled({**WARMUP, "start_factor": 1e-6}, {**DECAY, "end": 100}),
        [("PROOF054", "param_scheduler[1].end")],
        "lr is 0 from iteration 100 on",
    ),
    "decay that ends early": (
        scheduled(WARMUP, {**DECAY, "end": 100, "eta_min": 1e-3}),
        [("PROOF055", "param_scheduler[1].end")],
        "0.001, from iteration 100 on",
    ),
    "gap": (
        scheduled(WARMUP, {**DECAY, "begin": 30}),
        [("PROOF056", "param_scheduler[1].begin")],
        "stands still at 0.1 from 20",
    ),
    "overlap": (
        scheduled(WARMUP, {**DECAY, "begin": 10}),
        [("PROOF056", "param_scheduler[1].begin")],
        "both change lr from 10 to 20",
    ),
    "cosine that rises again": (
        scheduled({"type": "CosineAnnealingLR", "T_max": 120, "by_epoch": False}),
        [("PROOF057", "param_scheduler[0]")],
        "lr rises at the end",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_where_it_was_written(prove, name: str) -> None:
    changes, findings, message = FAULTS[name]
    section = prove(**changes)
    assert found(section) == findings
    assert message in said(section)


NO_FAULTS: dict[str, dict[str, Any]] = {
    "a rate that is complex after the run": scheduled(WARMUP, {**DECAY, "end": 200.5}),
    "constant rate": {"param_scheduler": None},
    "restarts": scheduled(
        {
            "type": "CosineRestartLR",
            "periods": [50] * 4,
            "restart_weights": [1] * 4,
            "eta_min": 0.0,
            "by_epoch": False,
        }
    ),
    "one cycle": scheduled({"type": "OneCycleLR", "eta_max": 0.1, "by_epoch": False}),
    "steps": scheduled(WARMUP, {"type": "MultiStepLR", "milestones": [100, 150], "by_epoch": False}),
    "exponential": scheduled({"type": "ExponentialLR", "gamma": 0.99, "by_epoch": False}),
    "warmup by a constant": scheduled({"type": "ConstantLR", "factor": 0.1, "end": 20, "by_epoch": False}, DECAY),
    "a long plateau": scheduled(
        WARMUP, {"type": "CosineAnnealingLR", "eta_min": 1e-5, "begin": 100, "end": 200, "by_epoch": False}
    ),
    "plateaus of a metric": scheduled({"type": "ReduceOnPlateauLR", "monitor": "mIoU", "rule": "greater"}),
    "a decay that ends with a short run": {
        "train_cfg": {**ITERATIONS, "max_iters": 2, "val_interval": 2},
        **hooks(logger={"interval": 1}, checkpoint={"interval": 2}),
        **scheduled({**DECAY, "begin": 0, "end": 2, "eta_min": 1e-4}),
    },
    "a rate that stays above a tenth": scheduled(WARMUP, {**DECAY, "end": 100, "eta_min": 0.02}),
    "momentum": scheduled(WARMUP, DECAY, {"type": "CosineAnnealingMomentum", "eta_min": 0.5, "by_epoch": False}),
    "validation at the end": {"train_cfg": {**ITERATIONS, "val_interval": 200}},
    "no validation": {"val_cfg": None, "val_dataloader": None, "val_evaluator": None},
    "floats that are whole": {
        "train_cfg": {**ITERATIONS, "max_iters": 2e2, "val_interval": 2e1},
        **scheduled({**WARMUP, "end": 2e1}, {**DECAY, "begin": 2e1, "end": 2e2}),
    },
    "no checkpoint on the way": hooks(checkpoint={"interval": -1}),
    "checkpoints elsewhere": hooks(checkpoint={"out_dir": "s3://bucket/run"}),
    "epochs": {
        "train_cfg": EPOCHS,
        "default_hooks": EPOCH_HOOKS,
        "log_processor": {"by_epoch": True},
        **sampler("DefaultSampler"),
        **scheduled({"type": "PolyLR", "end": 10, "by_epoch": True, "convert_to_iter_based": True}),
    },
    "epochs after a warmup by iterations": {
        "train_cfg": EPOCHS,
        "default_hooks": EPOCH_HOOKS,
        "log_processor": {"by_epoch": True},
        **sampler("DefaultSampler"),
        **scheduled(WARMUP, {"type": "MultiStepLR", "milestones": [6, 8], "by_epoch": True}),
    },
}


@pytest.mark.parametrize("name", NO_FAULTS)
def test_unusual_is_not_wrong(prove, name: str) -> None:
    section = prove(**NO_FAULTS[name])
    assert section.findings == ()
    assert section.lines[1].startswith(("validates", "no validation"))


def test_iterations_written_where_epochs_count_are_found(prove) -> None:
    section = prove(
        train_cfg=EPOCHS,
        default_hooks=EPOCH_HOOKS,
        **sampler("DefaultSampler"),
        **scheduled({"type": "PolyLR", "end": 2000, "by_epoch": True}),
    )
    assert found(section) == [("PROOF051", "param_scheduler[0].end")]
    assert "lr 0.1, down to 0.0995498 at epoch 10" in section.lines


def test_a_scheduler_by_iterations_in_epochs_of_unknown_length_is_not_judged(prove) -> None:
    section = prove(
        train_cfg=EPOCHS, default_hooks=EPOCH_HOOKS, **sampler("DefaultSampler"), **scheduled({**DECAY, "end": 999})
    )
    assert section.findings == ()
    assert section.lines[-1].startswith("learning rate: not judged, its schedulers need the length of an epoch")


@pytest.mark.parametrize(("end", "codes"), [(40, []), (400, ["PROOF051"])])
def test_the_length_of_an_epoch_is_taken_from_the_data(prove, tmp_path: Path, end: int, codes: list[str]) -> None:
    pytest.importorskip("mmseg.datasets")
    bdd10k = DATASETS["bdd10k"]
    root = smoke_data_for(bdd10k, Drawing(train=7, val=2, width=32, height=24), tmp_path / "data")
    prefix = {"img_path": bdd10k.train.images, "seg_map_path": bdd10k.train.labels}
    dataset = {"type": bdd10k.type, "data_prefix": prefix, "pipeline": []}
    loader = {"batch_size": 2, "sampler": {"type": "DefaultSampler"}, "dataset": dataset}
    section = prove(
        data_root=root,
        default_scope="mmseg",
        train_cfg=EPOCHS,
        default_hooks=EPOCH_HOOKS,
        train_dataloader=loader,
        **scheduled({**DECAY, "begin": 0, "end": end}),
    )
    assert section.lines[0] == "10 epochs of 4 iterations"
    assert [code for code, _ in found(section)] == codes


def wrapper(**paramwise: Any) -> dict[str, Any]:
    return {"optim_wrapper": {**copy.deepcopy(GOOD["optim_wrapper"]), "paramwise_cfg": paramwise}}


def test_groups_are_those_of_the_model(prove) -> None:
    section = prove(**wrapper(custom_keys={"backbone": {"lr_mult": 0.1}}))
    assert section.findings == ()
    assert section.lines[-3:] == (
        "SGD: lr 0.01 to 0.1 in 2 groups, weight decay 0.01",
        "lr 1e-05, up to 0.01 at iteration 20, down to 0 at iteration 200 of 80% of the parameters",
        "lr 0.0001, up to 0.1 at iteration 20, down to 0 at iteration 200 of 20% of the parameters",
    )
    assert section.evidence["optimizers"]["optimizer"]["parameters_by_lr"] == {"0.01": 4, "0.1": 1}


@pytest.mark.parametrize(
    ("paramwise", "key", "message"),
    [
        ({"custom_key": {"backbone": {"lr_mult": 0.1}}}, "custom_key", "'custom_key' is read by nobody"),
        ({"custom_keys": {"neck": {"lr_mult": 10.0}}}, "custom_keys.neck", "lr_mult=10 is given to none"),
        ({"custom_keys": {"backbone": {"lr_mul": 0.1}}}, "custom_keys.backbone.lr_mul", "'lr_mul' is read by nobody"),
    ],
)
def test_options_of_groups_that_do_nothing_are_found(prove, paramwise: dict[str, Any], key: str, message: str) -> None:
    section = prove(**wrapper(**paramwise))
    assert found(section) == [("PROOF049", f"optim_wrapper.paramwise_cfg.{key}")]
    assert message in said(section)


def test_a_key_without_parameters_is_fine_where_others_do_the_same(prove) -> None:
    keys = {"backbone": {"lr_mult": 0.1, "decay_mult": 0.0}, "absolute_pos_embed": {"lr_mult": 0.1, "decay_mult": 0.0}}
    assert prove(**wrapper(custom_keys=keys)).findings == ()


def test_settings_of_the_optimizer_may_be_given_to_groups(prove) -> None:
    assert prove(**wrapper(custom_keys={"backbone": {"momentum": 0.5}})).findings == ()


def test_a_group_that_eta_min_lifts_is_found(prove) -> None:
    section = prove(
        **wrapper(custom_keys={"backbone": {"lr_mult": 0.01}}), **scheduled({**DECAY, "begin": 0, "eta_min": 0.01})
    )
    # Most of the model is in the backbone, so that its rate is the one that never falls.
    assert found(section) == [("PROOF053", "param_scheduler[0]")]
    frozen = prove(
        **wrapper(custom_keys={"backbone": {"lr_mult": 0.0}}), **scheduled({**DECAY, "begin": 0, "eta_min": 0.01})
    )
    assert found(frozen) == [("PROOF057", "param_scheduler[0]")]
    assert "with 80.0% of the parameters rises from 0 to 0.01" in said(frozen)


def test_mixed_precision_does_not_need_the_device_here(prove) -> None:
    wrapper = {"type": "AmpOptimWrapper", "loss_scale": "dynamic", **copy.deepcopy(GOOD["optim_wrapper"])}
    assert prove(optim_wrapper=wrapper).findings == ()


def test_rates_are_scaled_as_the_runner_does(prove) -> None:
    section = prove(auto_scale_lr={"enable": True, "base_batch_size": 20})
    assert "SGD: lr 0.01, weight decay 0.01" in section.lines


def test_without_a_model_all_but_its_groups_is_judged(prove) -> None:
    section = prove(
        built=False, **wrapper(custom_keys={"no": {"lr_mult": 5.0}}), **scheduled(WARMUP, {**DECAY, "end": 900})
    )
    assert found(section) == [("PROOF051", "param_scheduler[1].end")]
    assert "SGD: lr 0.1 (the model is not built: without its groups)" in section.lines


def weights(**schedule: Any) -> dict[str, Any]:
    weight_schedule = {"head": "decode_head", "loss_name": "loss_focal", **schedule}
    return {"custom_hooks": [{"type": "LossWeightScheduleHook", "schedules": [weight_schedule]}]}


def test_loss_weights_are_seen_on_the_losses_and_left_as_they_were(tmp_path: Path) -> None:
    model = Model()
    subject = subject_of(tmp_path, None, weights(kind="linear", start=0.5, end=0.1))
    section = clock.check(subject, Built(model, (64, 64)))
    assert section.findings == ()
    assert section.lines[-1] == "weight of decode_head.loss_focal: 0.5, 0.102 in the last iteration (linear)"
    assert section.evidence["loss_weights"]["decode_head.loss_focal"]["points"][0] == [0, 0.5]
    assert [loss.loss_weight for loss in model.decode_head.loss_decode] == [0.7, 0.7]


@pytest.mark.parametrize(
    ("schedule", "code", "message"),
    [
        ({"kind": "liner", "start": 1.0, "end": 0.5}, "PROOF058", "did you mean 'linear'"),
        ({"kind": "constant", "value": 1.0, "loss_name": "loss_dice"}, "PROOF058", "has no loss 'loss_dice'"),
        ({"kind": "constant", "value": 0}, "PROOF059", "is 0 in every iteration"),
        ({"kind": "linear", "start": 1.0, "end": 0.5, "end_iter": 400}, "PROOF059", "comes to 0.75125, not to 0.5"),
        ({"kind": "steps", "milestones": [300], "values": [1, 2]}, "PROOF059", "would change in iteration 300"),
    ],
)
def test_loss_weights_that_are_not_as_declared_are_found(prove, schedule, code: str, message: str) -> None:
    section = prove(**weights(**schedule))
    assert [found_code for found_code, _ in found(section)] == [code]
    assert all(key.startswith("custom_hooks[0].schedules") for _, key in found(section))
    assert message in said(section)


def test_a_sampler_of_ones_own_is_seen_to_end_or_not(prove) -> None:
    class Thrice(torch.utils.data.Sampler):  # type: ignore[type-arg]
        def __init__(self, dataset: Any, seed: int) -> None:
            self.count = len(dataset)

        def __iter__(self) -> Any:
            return iter([*range(self.count)] * 3)

    DATA_SAMPLERS.register_module(module=Thrice, name="ThriceSampler", force=True)
    section = prove(**sampler("ThriceSampler"))
    assert found(section) == [("PROOF043", "train_dataloader.sampler")]
    assert "ThriceSampler ends" in said(section)


def test_a_config_that_does_not_train_is_not_judged(prove) -> None:
    section = prove(train_cfg=None)
    assert section.not_judged == "the config does not train: it has no train_cfg"
    assert not section.is_proved
