"""A Runner that goes through a whole run and trains nothing: its loop, hooks and schedulers are the real ones."""

from __future__ import annotations

import copy
import itertools
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.hooks import LoggerHook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from provecfg.findings import Finding

_SILENT = logging.getLogger("provecfg.stepped")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

UNKNOWN_LENGTH = sys.maxsize
"""Batches in a pass over the data that a loop by iterations never comes to the end of."""


class Batches:
    """A data loader of empty batches.

    Args:
        count: In one pass over the data.
        endless: Whether a pass goes on for ever, whatever `count` says, as with an InfiniteSampler.
    """

    dataset = type("NoData", (), {"metainfo": {}})()
    sampler = None
    batch_size = None

    def __init__(self, count: int, *, endless: bool) -> None:
        self._count = count
        self._endless = endless

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None) if self._endless else itertools.repeat(None, self._count)


class SteppedRunner(Runner):
    """mmengine's Runner without a model, data, logs and environment, for its own methods and those of its hooks.

    Args:
        config: The config.
        batches: What stands for the training data.
        work_dir: Where hooks may write.
        validates: Whether validations are declared.
    """

    def __init__(self, config: Any, batches: Batches, work_dir: Path, *, validates: bool) -> None:
        # Not Runner's own: that one builds all parts of a run, and sets up the process.
        self.cfg = config
        self._work_dir = self._log_dir = str(work_dir)
        self._experiment_name = self._timestamp = "stepped"
        self._randomness_cfg: dict[str, Any] = {}
        self._rank, self._world_size, self._distributed, self._launcher = 0, 1, False, "none"
        self._hooks: list[Any] = []
        self._train_dataloader = batches
        self._train_loop: Any = config.get("train_cfg")
        self._val_loop: Any = CountedValidation(self) if validates else None
        self._test_loop = None
        self.logger = _SILENT
        self.message_hub = MessageHub("stepped")
        self.log_processor = _NoLog()
        self.visualizer = _Steps()
        self.model: Any = _NoModel(self)
        self.optim_wrapper = None
        self.param_schedulers: Any = None
        self.calling: Any = None
        self.saved: dict[int, list[dict[str, int]]] = {}

    def save_checkpoint(self, *args: Any, meta: dict[str, int] | None = None, **kwargs: Any) -> None:
        """Note the epoch and iteration, by the id of the hook that asks, and write nothing."""
        self.saved.setdefault(id(self.calling), []).append(dict(meta or {}))

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """As Runner's, and keep which hook is called."""
        for hook in self._hooks:
            self.calling = hook
            getattr(hook, fn_name)(self, **kwargs)
        self.calling = None

    @property
    def moment(self) -> int:
        """How many iterations are done, or epochs of a loop by epochs."""
        loop = self.train_loop
        return loop.epoch if isinstance(loop, EpochBasedTrainLoop) else loop.iter

    def register_kinds(self, kinds: tuple[type, ...]) -> list[tuple[str, Any]]:
        """Build the config's hooks of these kinds, and mmengine's default ones where it leaves them in.

        Returns:
            Dotted key and hook of each, by priority. What cannot be built is left out: another check says so.
        """
        keys: dict[int, str] = {}
        for key, given in _declared_hooks(self.cfg):
            before = [id(hook) for hook in self._hooks]
            try:
                cls = given.get("type") if isinstance(given, dict) else type(given)
                cls = HOOKS.get(cls) if isinstance(cls, str) else cls
                if not (isinstance(cls, type) and issubclass(cls, kinds)):
                    continue
                self.register_hook(copy.deepcopy(given))
            except Exception:
                continue
            keys.update({id(hook): key for hook in self._hooks if id(hook) not in before})
        return [(keys[id(hook)], hook) for hook in self._hooks if id(hook) in keys]


@dataclass(slots=True)
class Run:
    """A run's loop and what falls when; counts are of iterations, or of epochs where the loop counts epochs.

    Args:
        runner: With its loop built, or None where it cannot be.
        unit: `iteration` or `epoch`.
        length: Of the run; 0 where it is not known.
        batches: In an epoch: known from the data, assumed, or None where the loop has no epochs.
        batches_known: Whether `batches` comes from the data.
        lines, evidence, findings: As in `Section`.
    """

    runner: SteppedRunner | None = None
    unit: str = "iteration"
    length: int = 0
    batches: int | None = None
    batches_known: bool = False
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


_DEFAULTS: dict[str, dict[str, Any]] = {  # Runner.register_default_hooks, those that are looked at here
    "logger": {"type": "LoggerHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
}


def _declared_hooks(config: Any) -> Iterator[tuple[str, Any]]:
    declared = config.get("default_hooks")
    declared = declared if isinstance(declared, dict) else {}
    for name, hook in {**_DEFAULTS, **declared}.items():
        if hook is not None:
            yield (f"default_hooks.{name}" if name in declared else "default_hooks"), hook
    custom = config.get("custom_hooks") or ()
    if isinstance(custom, (list, tuple)):
        yield from ((f"custom_hooks[{index}]", hook) for index, hook in enumerate(custom))


class CountedValidation(BaseLoop):
    """A validation that only notes when it was called, and lets the hooks log metrics."""

    def __init__(self, runner: SteppedRunner) -> None:
        super().__init__(runner, Batches(1, endless=False))
        self.moments: list[int] = []
        self.drawn_at: list[int] = []

    def run(self) -> None:
        """Note the moment, and the step that the metrics would be drawn at."""
        self.moments.append(self.runner.moment)
        steps = self.runner.visualizer.steps
        for hook in self.runner.hooks:
            if isinstance(hook, LoggerHook):
                steps.clear()
                hook.after_val_epoch(self.runner)
                self.drawn_at += steps


class _NoModel:
    """What is called where a model would train; it can skip iterations in which nothing falls."""

    def __init__(self, runner: SteppedRunner) -> None:
        self._runner = runner
        self.stops: Iterator[int] | None = None
        self.steps_left = 0

    def train(self) -> None:
        """Nothing."""

    def train_step(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise TooLongError
        if self.stops is not None:
            self._runner.train_loop._iter = next(self.stops) - 1
        return {}


class TooLongError(Exception):
    """A run with more iterations than can be gone through one by one."""


class _NoLog:
    """Stands for the log processor: notes after how many iterations a line comes."""

    def __init__(self) -> None:
        self.moments: list[int] = []

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[dict[str, Any], str]:
        self.moments.append(runner.iter + 1)
        return {}, ""

    def get_log_after_epoch(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], str]:
        return {}, ""


class _Steps:
    """Stands for the visualizer: notes the steps that scalars are drawn at."""

    def __init__(self) -> None:
        self.dataset_meta: Any = None
        self.steps: list[int] = []

    def add_scalars(self, tag: Any, step: int = 0, file_path: Any = None) -> None:
        self.steps.append(step)
