"""Runs through the training API, for what the command line does not say of them."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from statistics import median
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from provecfg.mmconfig import read_config
from provecfg.training.options import RunOptions
from provecfg.training.preflight import Prepared, prepare
from provecfg.training.runner import Outcome, train

NEVER = 10**9


@HOOKS.register_module(force=True)
class InterruptAt(Hook):
    """Sends this process the signal of Ctrl-C in one iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.iteration:
            signal.raise_signal(signal.SIGINT)


@HOOKS.register_module(force=True)
class IterationClock(Hook):
    """Keeps the seconds from one iteration's end to the next's; by then mmengine has waited for the losses."""

    seconds: list[float]
    priority = "LOWEST"

    def __init__(self) -> None:
        type(self).seconds = []
        self._last: float | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now


def prepared_run(path: Path, work_dir: Path, device: str, *hooks: dict[str, Any]) -> Prepared:
    """A run of a config at random weights, with hooks beside its own."""
    options = RunOptions(device=device, work_dir=work_dir, pretrained=False, quiet=True)
    prepared = prepare(path, options, read_config(path))
    assert prepared.is_ready, prepared.findings
    prepared.config.custom_hooks = [*(prepared.config.get("custom_hooks") or []), *hooks]
    return prepared


def interrupted_run(path: Path, work_dir: Path, device: str, iteration: int) -> tuple[Outcome, float]:
    """A run that Ctrl-C ends, and the median seconds of its later iterations."""
    prepared = prepared_run(
        path, work_dir, device, {"type": "IterationClock"}, {"type": "InterruptAt", "iteration": iteration}
    )
    outcome = train(prepared)
    seconds = IterationClock.seconds
    return outcome, median(seconds[len(seconds) // 2 :])


def training_alone(path: Path, work_dir: Path, device: str, iterations: int) -> Outcome:
    """A run that only trains: no validation, which takes memory of its own."""
    prepared = prepared_run(path, work_dir, device)
    prepared.config.train_cfg.update(max_iters=iterations, val_interval=NEVER)
    prepared.config.default_hooks.checkpoint.update(interval=NEVER, save_last=False)
    return train(prepared)
