"""Scripted runs end as runs of mmengine's Runner do that train a toy model: same validations, waits and checkpoints."""

from __future__ import annotations

import importlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, DefaultScope
from mmengine.runner import Runner

from provecfg.proof.stopping.simulator import MOST_VALIDATIONS, SimulatedRun, Simulator, UnknownLoopError

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

# Progress, a gain below min_delta (0.1), a loss, progress, then none for good.
UNEVEN = [10.0, 10.05, 9.0, 12.0, 11.0, 12.05, 11.5, 11.0, 50.0, 50.0]
BY_ITERATION = {"type": "IterBasedTrainLoop", "max_iters": 20, "val_interval": 2}
BY_EPOCH = {"type": "EpochBasedTrainLoop", "max_epochs": 10, "val_interval": 1}
PLAIN = {"type": "PlainCheckpointHook", "by_epoch": False, "interval": 2, "save_best": "mIoU", "rule": "greater"}
STOPPER = {"type": "ResumableEarlyStoppingHook", "monitor": "mIoU", "rule": "greater", "patience": 4}

_NAMES = itertools.count()


class Toy(BaseModel):
    """One weight. It counts its steps, so that a validation can tell which one it is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> Any:
        if mode == "predict":
            return [int(self.steps)]
        self.steps += 1
        return {"loss": (self.weight * inputs).mean()}


class Scores(BaseMetric):
    def __init__(self, scores: Sequence[float], steps_in_interval: int) -> None:
        super().__init__()
        self.scores, self.steps_in_interval = scores, steps_in_interval

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        return {"mIoU": self.scores[results[0] // self.steps_in_interval - 1]}


class Killed(Exception):  # noqa: N818  (it stands for a signal)
    pass


class Watcher(Hook):
    """Notes what was validated, and kills the run after so many validations."""

    priority = "LOWEST"

    def __init__(self, killed_after: int | None) -> None:
        self.moments: list[int] = []
        self.waits: list[int] = []
        self.killed_after = killed_after

    def after_val(self, runner: Runner) -> None:
        by_epoch = type(runner.train_loop).__name__.startswith("Epoch")
        self.moments.append(runner.epoch if by_epoch else runner.iter)
        self.waits += [hook.wait_count for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]
        if len(self.moments) == self.killed_after:
            raise Killed


def really(
    folder: Path, loop: dict, hooks: Sequence[dict], scores: Sequence[float], killed_after: int | None = None
) -> dict[str, Any]:
    """Train the toy, kill and resume it if asked to, and say what became of it."""
    by_epoch = loop["type"].startswith("Epoch")

    def train(killed: int | None, *, resume: bool) -> tuple[Runner, Watcher]:
        watcher = Watcher(killed)
        runner = Runner(
            model=Toy(),
            work_dir=str(folder),
            train_dataloader=_loader("DefaultSampler" if by_epoch else "InfiniteSampler", 3),
            val_dataloader=_loader("DefaultSampler", 1),
            train_cfg=dict(loop),
            val_cfg={},
            val_evaluator=Evaluator([Scores(scores, 3 if by_epoch else 2)]),
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
            default_hooks={"checkpoint": dict(hooks[0])},
            custom_hooks=[*map(dict, hooks[1:]), watcher],
            log_level="ERROR",
            resume=resume,
            randomness={"seed": None},  # the default is one dict for the whole process, and a resume writes into it
            experiment_name=f"scripted-test{next(_NAMES)}",
        )
        try:
            runner.train()
        except Killed:
            return train(None, resume=True)
        return runner, watcher

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runner, watcher = train(killed_after, resume=False)
    finally:
        torch.set_num_threads(threads)
    return {
        "moments": tuple(watcher.moments),
        "waits": tuple(watcher.waits),
        "ended": runner.epoch if by_epoch else runner.iter,
        "checkpoints": {
            path.name: torch.load(path, weights_only=False)["meta"]["epoch" if by_epoch else "iter"]
            for path in folder.glob("*.pth")
        },
    }


def _loader(sampler: str, batches: int) -> dict[str, Any]:
    return {
        "batch_size": 1,
        "dataset": [{"inputs": torch.ones(1)}] * batches,
        "sampler": {"type": sampler, "shuffle": False},
        "collate_fn": {"type": "default_collate"},
    }


def scripted(
    folder: Path, loop: dict, hooks: Sequence[dict], scores: Sequence[float], killed_after: int | None = None
) -> SimulatedRun:
    config = Config({"train_cfg": loop, "val_cfg": {}, "val_dataloader": {}, "val_evaluator": {}})
    importlib.import_module("provecfg.plugin")
    return Simulator(config, folder).run(
        lambda: [HOOKS.build(dict(hook)) for hook in hooks],
        lambda number: {"mIoU": scores[number]},
        killed_after=killed_after,
    )


def told(run: SimulatedRun) -> dict[str, Any]:
    assert run.error is None
    return {
        "moments": run.moments,
        "waits": run.waits,
        "ended": run.ended,
        "checkpoints": {checkpoint.name: checkpoint.moment for checkpoint in run.checkpoints},
    }


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Undo what a Runner does to the process: its default scope, and the log files that it holds open."""
    before = set(DefaultScope._instance_dict)
    yield
    for name in set(DefaultScope._instance_dict) - before:
        del DefaultScope._instance_dict[name]
    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
                handler.close()


Case = tuple[dict, list[dict], list[float], "int | None"]
CASES: dict[str, Case] = {
    "uneven": (BY_ITERATION, [PLAIN, STOPPER], UNEVEN, None),
    "mmengine's own hooks": (
        BY_ITERATION,
        [{**PLAIN, "type": "CheckpointHook"}, {**STOPPER, "type": "EarlyStoppingHook"}],
        UNEVEN,
        None,
    ),
    "few checkpoints kept": (BY_ITERATION, [{**PLAIN, "max_keep_ckpts": 2}, STOPPER], UNEVEN, None),
    "checkpoints between validations": (
        BY_ITERATION,
        [{**PLAIN, "interval": 3, "save_begin": 4}, STOPPER],
        UNEVEN,
        None,
    ),
    "checkpoints on the wrong clock": (BY_ITERATION, [{**PLAIN, "by_epoch": True}, STOPPER], UNEVEN, None),
    "no early stopping": (BY_ITERATION, [PLAIN], UNEVEN, None),
    "not a number": (BY_ITERATION, [PLAIN, STOPPER], [10.0, float("nan"), 20.0], None),
    "late validations": ({**BY_ITERATION, "val_begin": 7, "max_iters": 19}, [PLAIN, STOPPER], UNEVEN, None),
    "by epoch": (BY_EPOCH, [{**PLAIN, "by_epoch": True}, STOPPER], UNEVEN, None),
    "killed before progress": (BY_ITERATION, [PLAIN, STOPPER], UNEVEN, 3),
    "killed after progress": (BY_ITERATION, [PLAIN, STOPPER], UNEVEN, 4),
    "killed by epoch": (BY_EPOCH, [{**PLAIN, "by_epoch": True}, STOPPER], UNEVEN, 3),
    "killed with nothing to go on from": (BY_ITERATION, [{**PLAIN, "interval": 20}, STOPPER], UNEVEN, 3),
    "killed, and early stopping forgets": (
        BY_ITERATION,
        [PLAIN, {**STOPPER, "type": "EarlyStoppingHook", "patience": 3}],
        [10.0] * 10,
        3,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_scripted_run_ends_as_a_real_one(tmp_path: Path, name: str) -> None:
    loop, hooks, scores, killed_after = CASES[name]
    if "late" in name:
        # The script counts validations, the toy its steps.
        scores_of_real, scores = scores, scores[3:]
    else:
        scores_of_real = scores
    real = really(tmp_path / "real", loop, hooks, scores_of_real, killed_after)
    assert told(scripted(tmp_path / "scripted", loop, hooks, scores, killed_after)) == real


def test_a_run_as_long_as_real_ones_takes_no_time(tmp_path: Path) -> None:
    loop = {"type": "IterBasedTrainLoop", "max_iters": 80000, "val_interval": 5000}
    run = scripted(tmp_path, loop, [{**PLAIN, "interval": 1, "max_keep_ckpts": 1}, STOPPER], [*UNEVEN, *UNEVEN])
    assert run.moments == tuple(range(5000, 40001, 5000))
    assert run.stopped
    assert {checkpoint.name for checkpoint in run.checkpoints} == {"iter_40000.pth", "best_mIoU_iter_30000.pth"}


def test_of_very_many_validations_the_first_and_the_last_are_made(tmp_path: Path) -> None:
    loop = {"type": "IterBasedTrainLoop", "max_iters": 80000, "val_interval": 100}
    run = scripted(tmp_path, loop, [PLAIN], range(10000))
    assert run.moments == (*range(100, 100 * MOST_VALIDATIONS, 100), 80000)


def test_the_hook_that_fails_is_named(tmp_path: Path) -> None:
    run = scripted(tmp_path, BY_ITERATION, [{**PLAIN, "save_best": "mDice"}, STOPPER], UNEVEN)
    assert isinstance(run.error, KeyError)
    assert type(run.failed).__name__ == "PlainCheckpointHook"
    assert run.ended == 2


def test_an_unknown_argument_fails_at_the_first_checkpoint_as_in_a_run(tmp_path: Path) -> None:
    saver = {"type": "CheckpointHook", "by_epoch": False, "interval": 4, "max_keep_ckpt": 1}
    run = scripted(tmp_path, BY_ITERATION, [saver], UNEVEN)
    assert str(run.error) == "Runner.save_checkpoint() got an unexpected keyword argument 'max_keep_ckpt'"
    assert run.ended == 4


def test_a_loop_of_another_kind_is_refused(tmp_path: Path, own_loop: Callable[[], str]) -> None:
    with pytest.raises(UnknownLoopError, match="OwnLoop is built on no training loop of mmengine's"):
        scripted(tmp_path, {"type": own_loop()}, [PLAIN], UNEVEN)


@pytest.fixture
def own_loop() -> Iterator[Callable[[], str]]:
    from mmengine.registry import LOOPS
    from mmengine.runner import BaseLoop

    class OwnLoop(BaseLoop):
        def run(self) -> None:
            raise AssertionError("never run")

    LOOPS.register_module(module=OwnLoop)
    yield lambda: "OwnLoop"
    del LOOPS._module_dict["OwnLoop"]
