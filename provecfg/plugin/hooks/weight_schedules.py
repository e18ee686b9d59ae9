"""How a loss's weight depends on the iteration: pure functions, made from plain data and turned back into it."""

from __future__ import annotations

import dataclasses
import math
import sys
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from provecfg import spelling
from provecfg.errors import ProvecfgError


@dataclass(frozen=True, slots=True)
class Constant:
    """The same weight throughout.

    Args:
        value: The weight, >= 0.
    """

    kind: ClassVar[str] = "constant"
    value: float

    def __post_init__(self) -> None:
        _check_weight("value", self.value)

    def at(self, iteration: int) -> float:
        """The weight in an iteration, counted from 0."""
        return float(self.value)


@dataclass(frozen=True, slots=True)
class _Ramp:
    """From one weight to another between two iterations, constant before and after.

    Args:
        start: The weight until `begin_iter`, >= 0.
        end: The weight from `end_iter` on, >= 0.
        begin_iter: Iteration, counted from 0, in which the weight is last `start`.
        end_iter: First iteration in which it is `end`. (The run's `max_iters` would be the first one after the run.)
    """

    start: float
    end: float
    begin_iter: int
    end_iter: int

    def __post_init__(self) -> None:
        _check_weight("start", self.start)
        _check_weight("end", self.end)
        _check_iteration("begin_iter", self.begin_iter)
        _check_iteration("end_iter", self.end_iter)
        if self.begin_iter >= self.end_iter:
            raise ProvecfgError(f"begin_iter is {self.begin_iter}, must be less than end_iter, {self.end_iter}")

    def at(self, iteration: int) -> float:
        """The weight in an iteration, counted from 0."""
        # Exactly the two values at the ends and outside.
        if iteration <= self.begin_iter:
            return float(self.start)
        if iteration >= self.end_iter:
            return float(self.end)
        done = (iteration - self.begin_iter) / (self.end_iter - self.begin_iter)
        return self.start + (self.end - self.start) * self.shape(done)

    @staticmethod
    def shape(done: float) -> float:
        """How much of the way is covered, of 1, when `done` of the iterations are."""
        raise NotImplementedError


class Linear(_Ramp):
    """A straight line between two weights."""

    __slots__ = ()
    kind: ClassVar[str] = "linear"

    @staticmethod
    def shape(done: float) -> float:
        """As much."""
        return done


class Cosine(_Ramp):
    """Half a cosine between two weights: slow at both ends (Loshchilov and Hutter 2017, eq. 5, arXiv:1608.03983)."""

    __slots__ = ()
    kind: ClassVar[str] = "cosine"

    @staticmethod
    def shape(done: float) -> float:
        """Half a cosine."""
        return (1 - math.cos(math.pi * done)) / 2


@dataclass(frozen=True, slots=True)
class Steps:
    """One weight after the other.

    Args:
        milestones: Iterations, counted from 0, in which the next value begins; rising, > 0.
        values: The weights, each >= 0, one more than there are milestones.
    """

    kind: ClassVar[str] = "steps"
    milestones: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("milestones", "values"):
            items = getattr(self, name)
            if not isinstance(items, (list, tuple)) or not items:
                raise ProvecfgError(f"{name} is {items!r}, must be a list of one or more")
            object.__setattr__(self, name, tuple(items))
        for index, milestone in enumerate(self.milestones):
            _check_iteration(f"milestones[{index}]", milestone)
        for index, value in enumerate(self.values):
            _check_weight(f"values[{index}]", value)
        if any(after <= before for before, after in pairwise((0, *self.milestones))):
            raise ProvecfgError(f"milestones is {list(self.milestones)}, must rise, from more than 0")
        if len(self.values) != len(self.milestones) + 1:
            raise ProvecfgError(
                f"{len(self.values)} values for {len(self.milestones)} milestones, must be one more: "
                "the first is the one before the first milestone"
            )

    def at(self, iteration: int) -> float:
        """The weight in an iteration, counted from 0."""
        return float(self.values[bisect_right(self.milestones, iteration)])


Schedule = Constant | Linear | Cosine | Steps

KINDS: Mapping[str, type[Schedule]] = {cls.kind: cls for cls in (Constant, Linear, Cosine, Steps)}


def schedule_from(fields: Mapping[str, Any], max_iters: int | None = None) -> Schedule:
    """The schedule that plain data describes.

    Args:
        fields: `kind`, and the arguments of that kind. `begin_iter` is 0 unless given, `end_iter` is `max_iters`.
        max_iters: Length of the run, or None where it is not known (then any will do).

    Raises:
        ProvecfgError: An unknown kind or argument, a missing one, or a value out of its range; says which.
    """
    arguments = dict(fields)
    kind = arguments.pop("kind", None)
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ProvecfgError(
            f"no kind given; known: {', '.join(KINDS)}" if kind is None else spelling.unknown("kind", str(kind), KINDS)
        )
    names = [field.name for field in dataclasses.fields(cls)]
    for name in arguments:
        if name not in names:
            raise ProvecfgError(f"{spelling.unknown('argument', name, names)} (of kind {kind!r})")
    if issubclass(cls, _Ramp):
        arguments.setdefault("begin_iter", 0)
        if arguments.get("end_iter") is None:
            arguments["end_iter"] = _run_end(arguments["begin_iter"], max_iters)
    missing = [name for name in names if name not in arguments]
    if missing:
        raise ProvecfgError(f"kind {kind!r} needs {' and '.join(missing)}")
    return cls(**arguments)


def _run_end(begin_iter: object, max_iters: int | None) -> int:
    if max_iters is None:
        return sys.maxsize
    # A run that is cut short before `begin_iter` has the first weight throughout.
    return max(max_iters, begin_iter + 1) if isinstance(begin_iter, int) else max_iters


def plain(schedule: Schedule) -> dict[str, Any]:
    """The schedule as plain data, which `schedule_from` takes."""
    fields = dataclasses.asdict(schedule)
    lists = {name: list(value) for name, value in fields.items() if isinstance(value, tuple)}
    return {"kind": schedule.kind, **fields, **lists}


def first_difference(schedule: Schedule, other: Schedule, iterations: int) -> int | None:
    """The first of so many iterations in which two schedules give different weights, or None."""
    if schedule == other:
        return None
    return next((i for i in range(iterations) if schedule.at(i) != other.at(i)), None)


def _check_weight(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= 0):
        raise ProvecfgError(f"{name} is {value!r}, must be a finite number >= 0")


def _check_iteration(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ProvecfgError(f"{name} is {value!r}, must be a whole number >= 0")
