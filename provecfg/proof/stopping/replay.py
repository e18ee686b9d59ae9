"""Where an early-stopping rule would have stopped a finished run, asked of mmengine's own hook."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from types import SimpleNamespace
from typing import Any

from mmengine.hooks import EarlyStoppingHook

from provecfg.errors import ProvecfgError
from provecfg.proof.stopping.finished_log import FinishedLog, Validation


@dataclass(frozen=True, slots=True)
class Replay:
    """What would have become of a run.

    Args:
        monitor: The metric that was watched.
        rule: `greater` or `less`: which way it is better.
        stop: The validation that would have ended the run, or None.
        stop_number: Its number, from 1, or None.
        reason: What the hook says of it, or None.
        best_until_stop: The best validation up to then (of the whole log where nothing stops it); None if all are NaN.
        best: The best of the whole log.
        missing: Validations that have no such metric; the hook passes over them.
    """

    monitor: str
    rule: str
    stop: Validation | None
    stop_number: int | None
    reason: str | None
    best_until_stop: Validation | None
    best: Validation | None
    missing: int

    @property
    def lost(self) -> float:
        """By how much the best would have been worse, in the metric's units; 0 or more."""
        if self.best is None or self.best_until_stop is None:
            return 0.0
        return abs(self.best.metrics[self.monitor] - self.best_until_stop.metrics[self.monitor])


def replay(log: FinishedLog, arguments: Mapping[str, Any]) -> Replay:
    """Ask mmengine's hook at every validation of a log.

    Args:
        log: With at least one validation that has the metric.
        arguments: Of `EarlyStoppingHook`; `strict` is left aside, since the log's run has lived on.

    Raises:
        ProvecfgError: The hook does not take the arguments.
    """
    messages: list[str] = []
    runner = SimpleNamespace(
        train_loop=SimpleNamespace(stop_training=False), logger=SimpleNamespace(info=messages.append), iter=0, epoch=0
    )
    try:
        hook = EarlyStoppingHook(**{**arguments, "strict": False})
    except (TypeError, ValueError) as error:
        raise ProvecfgError(
            f"EarlyStoppingHook refuses the rule: {error}", hint="--set early_stopping.rule=greater or less"
        ) from error
    seen = [validation for validation in log.validations if hook.monitor in validation.metrics]
    stop: Validation | None = None
    stop_number: int | None = None
    for number, validation in enumerate(seen, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hook.after_val_epoch(runner, dict(validation.metrics))
        if runner.train_loop.stop_training:
            stop, stop_number = validation, number
            break
    return Replay(
        monitor=hook.monitor,
        rule=hook.rule,
        stop=stop,
        stop_number=stop_number,
        reason=" ".join(messages).strip() or None,
        best_until_stop=_best(seen[:stop_number], hook.monitor, hook.rule),
        best=_best(seen, hook.monitor, hook.rule),
        missing=len(log.validations) - len(seen),
    )


def _best(validations: Sequence[Validation], metric: str, rule: str) -> Validation | None:
    """The best, the first of equal ones: as CheckpointHook keeps it."""
    finite = [validation for validation in validations if not isnan(validation.metrics[metric])]
    if not finite:
        return None
    return (max if rule == "greater" else min)(finite, key=lambda validation: validation.metrics[metric])
