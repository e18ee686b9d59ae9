"""The Runner that trains nothing, against mmengine's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn

from provecfg.proof.clock.dry_run import CountingRunner
from provecfg.proof.dry_runner import DryRunner, EmptyBatches, TooLongError
from provecfg.proof.stopping.simulator import ScriptedRunner

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

BY_ITERATION = {"type": "IterBasedTrainLoop", "max_iters": 20, "val_interval": 5}
BY_EPOCH = {"type": "EpochBasedTrainLoop", "max_epochs": 4, "val_interval": 1}


class Counted(BaseLoop):
    """A validation that notes when it is called."""

    def __init__(self, runner: DryRunner) -> None:
        super().__init__(runner, EmptyBatches(endless=False))
        self.moments: list[int] = []

    def run(self) -> None:
        self.moments.append(self.runner.moment)


def runner_of(folder: Path, loop: dict[str, Any], batches: int = 3) -> DryRunner:
    config = Config({"train_cfg": loop, "val_cfg": {}, "val_dataloader": {}, "val_evaluator": {}})
    runner = DryRunner(config, folder, EmptyBatches(endless=False), Counted)
    runner.feed(EmptyBatches(batches, endless=not runner.counts_epochs))
    return runner


@pytest.mark.parametrize("cls", [DryRunner, CountingRunner, ScriptedRunner])
def test_it_builds_as_mmengines_runner_does(cls: type) -> None:
    building = {name for name in vars(Runner) if name.startswith(("build_", "_build", "register_", "scale_"))}
    assert not {name for base in cls.__mro__ if base is not Runner for name in vars(base)} & (
        building - {"register_kinds"}
    )


def test_what_it_sets_of_mmengines_is_what_mmengine_sets(tmp_path: Path) -> None:
    """An attribute that mmengine renames is noticed here."""
    private = [name for name in vars(runner_of(tmp_path, BY_ITERATION)) if name.startswith("_")]
    assert {"_train_loop", "_hooks", "_rank", "_world_size"} < set(private)
    # Two are set in one statement.
    source = inspect.getsource(Runner).replace("self._rank, self._world_size = ", "self._rank = self._world_size = ")
    assert [name for name in private if not re.search(rf"self\.{name}(: .*)? = ", source)] == []
    loops = "".join(inspect.getsource(loop) for loop in (IterBasedTrainLoop, EpochBasedTrainLoop))
    assert [name for name in ("_iter", "_epoch", "_max_iters") if f"self.{name} = " not in loops] == []


def test_what_is_built_in_stages_is_what_mmengine_builds_when_it_starts() -> None:
    starting = "".join(inspect.getsource(start) for start in (Runner.train, Runner.val, Runner.test))
    assert [loop for loop in ("_train_loop", "_val_loop", "_test_loop") if f"self.{loop} = " not in starting] == []


@pytest.mark.parametrize(("loop", "moments"), [(BY_ITERATION, [5, 10, 15, 20]), (BY_EPOCH, [1, 2, 3, 4])])
def test_the_real_loop_goes_through_the_whole_run(tmp_path: Path, loop: dict[str, Any], moments: list[int]) -> None:
    runner = runner_of(tmp_path, loop)
    runner.train_loop.run()
    assert runner.val_loop.moments == moments
    assert runner.moment == runner.length == moments[-1]


@pytest.mark.parametrize("loop", [BY_ITERATION, BY_EPOCH])
def test_it_leaps_to_where_something_can_happen(tmp_path: Path, loop: dict[str, Any]) -> None:
    runner = runner_of(tmp_path, loop, batches=1)
    expected = [runner.length // 2, runner.length]
    runner.train_loop._val_interval = runner.train_loop.val_interval = runner.length // 2
    runner.idle_model.stops = iter(expected)
    runner.idle_model.steps_left = len(expected)
    runner.train_loop.run()
    assert runner.val_loop.moments == expected


def test_a_run_of_more_steps_than_may_be_ends(tmp_path: Path) -> None:
    runner = runner_of(tmp_path, BY_ITERATION)
    runner.idle_model.steps_left = 7
    with pytest.raises(TooLongError):
        runner.train_loop.run()
    assert runner.moment == 7


def test_a_real_model_is_there_only_meanwhile(tmp_path: Path) -> None:
    runner, model = runner_of(tmp_path, BY_ITERATION), nn.Linear(1, 1)
    with runner.with_hooks_of(model, []) as go_to:
        go_to(12)
        assert (runner.model, runner.iter) == (model, 12)
    assert (runner.model, runner.iter) == (runner.idle_model, 0)
    wrapper = runner.built_optimizer({"optimizer": {"type": "SGD", "lr": 0.1}}, model)
    assert wrapper.param_groups[0]["params"] == list(model.parameters())
    assert runner.model is runner.idle_model
