"""Steps of real parameter schedulers, and what they make of the values that they schedule."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import torch
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler


class SchedulerError(Exception):
    """A scheduler that cannot be built or stepped.

    Args:
        key: Its place in the config.
        message: What was raised, and when.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Record:
    """The values of some parameters of all groups, point by point."""

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: list[str]) -> None:
        self._parameters = parameters
        self._places = [(group, parameter) for parameter in parameters for group in optimizer.param_groups]
        self._groups = len(optimizer.param_groups)
        self._rows: list[list[float]] = [[] for _ in self._places]

    def __len__(self) -> int:
        return len(self._rows[0])

    @property
    def columns(self) -> list[tuple[Any, dict[str, Any], str]]:
        """For each series: how a value is added to it, and the group and name of the value."""
        return [(row.append, *place) for row, place in zip(self._rows, self._places, strict=True)]

    def stay(self, count: int) -> None:
        """Note the values now, so many times."""
        for row, (group, parameter) in zip(self._rows, self._places, strict=True):
            row.extend([group[parameter]] * count)

    def of(self, parameter: str) -> list[np.ndarray]:
        """Values of a parameter, for each group."""
        at = self._parameters.index(parameter) * self._groups
        return [np.asarray(row, dtype=np.float64) for row in self._rows[at : at + self._groups]]


def advance(schedulers: list[tuple[str, _ParamScheduler]], steps: int, record: Record) -> None:
    """Step schedulers of one clock so often; before each step, note the values."""
    done = 0
    while done < steps:
        active, stretch = [], steps - done
        for key, each in schedulers:
            # The next step is number `each._global_step + 1`, and does something from `begin` to before `end`.
            now = each._global_step + 1
            if not _can_wait(each) or each.begin <= now < each.end:
                active.append((key, each))
                stretch = min(stretch, ceil(each.end - now)) if _can_wait(each) else 1
            elif now < each.begin:
                stretch = min(stretch, ceil(each.begin - now))
        if active:
            _step_each(active, stretch, record)
        else:
            record.stay(stretch)
        stepped = {id(each) for _, each in active}
        for _, each in schedulers:
            if id(each) not in stepped:
                each._global_step += stretch
        done += stretch


def advance_epochs(
    by_iteration: list[tuple[str, _ParamScheduler]],
    by_epoch: list[tuple[str, _ParamScheduler]],
    epochs: int,
    batches: int,
    record: Record,
) -> None:
    for _ in range(epochs):
        advance(by_iteration, batches, record)
        for key, each in by_epoch:
            one_step(key, each)


def _step_each(schedulers: list[tuple[str, _ParamScheduler]], steps: int, record: Record) -> None:
    columns, step_all = record.columns, [each.step for _, each in schedulers]
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
    try:
        scheduler.step()
    except Exception as error:  # arithmetic with the config's numbers, or a class of its own
        raise SchedulerError(key, _step_failed(scheduler, error)) from error


def _step_failed(scheduler: _ParamScheduler, error: Exception) -> str:
    return f"fails at its step {scheduler._global_step}: {type(error).__name__}: {first_line(error)}"


def _scheduler_in(error: Exception) -> Any:
    """The `self` of the innermost `step` in the error's traceback."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "step":
            found = trace.tb_frame.f_locals.get("self")
        trace = trace.tb_next
    return found


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
