"""Steps of real parameter schedulers, and what they make of the values that they schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from provecfg.proof.exceptions import described

KeyedScheduler = tuple[str, _ParamScheduler]
"""A scheduler with its place in the config."""


class SchedulerError(Exception):
    """A scheduler that cannot be built or stepped.

    Args:
        key: Its place in the config.
        message: What was raised, and when.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class ParameterHistory:
    """The values of some parameters of all groups, point by point.

    Args:
        optimizer: Whose groups they are.
        parameters: Their names: `lr`, `momentum`.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: list[str]) -> None:
        self._parameters = parameters
        self._columns = [(group, parameter) for parameter in parameters for group in optimizer.param_groups]
        self._groups = len(optimizer.param_groups)
        self._rows: list[list[float]] = [[] for _ in self._columns]

    def __len__(self) -> int:
        return len(self._rows[0])

    @property
    def columns(self) -> list[tuple[Any, dict[str, Any], str]]:
        """For each series: how a value is added to it, and the group and name of the value."""
        return [(row.append, *column) for row, column in zip(self._rows, self._columns, strict=True)]

    def stay(self, count: int) -> None:
        """Note the values now, so many times."""
        for row, (group, parameter) in zip(self._rows, self._columns, strict=True):
            row.extend([group[parameter]] * count)

    def of(self, parameter: str) -> list[np.ndarray]:
        """Values of a parameter, for each group."""
        at = self._parameters.index(parameter) * self._groups
        return [real_numbers(row) for row in self._rows[at : at + self._groups]]


def real_numbers(values: Sequence[Any]) -> np.ndarray:
    """(n,) float64: the values; NaN for a complex one, which a negative number to the power of a fraction is."""
    return np.asarray([math.nan if isinstance(value, complex) else value for value in values], dtype=np.float64)


def advance(schedulers: list[KeyedScheduler], steps: int, history: ParameterHistory) -> None:
    """Step schedulers that count the same so often; before each step, note the values."""
    done = 0
    while done < steps:
        active, stretch = [], steps - done
        for key, scheduler in schedulers:
            # The next step is number `_global_step + 1`, and does something from `begin` to before `end`.
            now = scheduler._global_step + 1
            if not _can_wait(scheduler) or scheduler.begin <= now < scheduler.end:
                active.append((key, scheduler))
                stretch = min(stretch, ceil(scheduler.end - now)) if _can_wait(scheduler) else 1
            elif now < scheduler.begin:
                stretch = min(stretch, ceil(scheduler.begin - now))
        if active:
            _step_each(active, stretch, history)
        else:
            history.stay(stretch)
        stepped = {id(scheduler) for _, scheduler in active}
        for _, scheduler in schedulers:
            if id(scheduler) not in stepped:
                scheduler._global_step += stretch
        done += stretch


def advance_epochs(
    by_iteration: list[KeyedScheduler],
    by_epoch: list[KeyedScheduler],
    epochs: int,
    batches: int,
    history: ParameterHistory,
) -> None:
    """Go through epochs: schedulers that count iterations are stepped in each, the others after it."""
    for _ in range(epochs):
        advance(by_iteration, batches, history)
        for key, scheduler in by_epoch:
            one_step(key, scheduler)


def _step_each(schedulers: list[KeyedScheduler], steps: int, history: ParameterHistory) -> None:
    columns, step_all = history.columns, [scheduler.step for _, scheduler in schedulers]
    try:
        for _ in range(steps):
            for add, group, parameter in columns:
                add(group[parameter])
            for step in step_all:
                step()
    except Exception as error:  # arithmetic with the config's numbers, or a class of its own
        # Named by the frame that raised: which of several it was, their counts do not say.
        failing = _scheduler_in(error)
        key, failed = next((item for item in schedulers if item[1] is failing), schedulers[0])
        raise SchedulerError(key, _step_failed(failed, error)) from error


def _can_wait(scheduler: _ParamScheduler) -> bool:
    """Whether its steps outside of begin and end only count."""
    return type(scheduler).step in (_ParamScheduler.step, MomentumSchedulerMixin.step)


def one_step(key: str, scheduler: _ParamScheduler) -> None:
    """Step it once, and say of an error which scheduler it is.

    Raises:
        SchedulerError: It fails.
    """
    try:
        scheduler.step()
    except Exception as error:  # arithmetic with the config's numbers, or a class of its own
        raise SchedulerError(key, _step_failed(scheduler, error)) from error


def _step_failed(scheduler: _ParamScheduler, error: Exception) -> str:
    return f"fails at its step {scheduler._global_step}: {described(error)}"


def _scheduler_in(error: Exception) -> Any:
    """The `self` of the innermost `step` in the error's traceback."""
    innermost, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "step":
            innermost = trace.tb_frame.f_locals.get("self")
        trace = trace.tb_next
    return innermost
