"""The run as a timeline: when it ends, when it validates, what the learning rate does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from provecfg.facts.lookup import Lookup, entries
from provecfg.facts.numbers import whole
from provecfg.mmconfig import Node

_NEVER: Final = 10**8
"""mmengine's `INF`, the end of a scheduler that names none (optim/scheduler/param_scheduler.py)."""


class Scheduler(NamedTuple):
    """One entry of `param_scheduler`.

    Args:
        node: Its dict.
        kind: Its class's name.
        by_epoch: Its clock, or None if not known.
        begin, end: In its own clock; None if not known, `end` also where it has none.
        converts: It counts in epochs and steps in iterations.
    """

    node: Node
    kind: str
    by_epoch: bool | None
    begin: int | None
    end: int | None
    converts: bool

    @property
    def parameter(self) -> str:
        """What it moves: `LR`, `Momentum`, or its class's name."""
        return next((name for name in ("LR", "Momentum") if self.kind.endswith(name)), self.kind)

    @property
    def acts_on_metric(self) -> bool:
        """Whether each validation steps it, by a metric, whatever the loop counts (mmengine, ParamSchedulerHook)."""
        return self.kind.startswith("ReduceOnPlateau")

    @property
    def is_warmup(self) -> bool:
        """Whether it raises the rate at the start of the run: a LinearLR or ConstantLR that begins at 0."""
        factor = self.node.value.get("start_factor", self.node.value.get("factor", 1.0 / 3))
        return (
            self.kind.startswith(("LinearLR", "ConstantLR"))
            and self.begin == 0
            and isinstance(factor, (int, float))
            and factor < 1
        )

    @property
    def closes(self) -> bool:
        """Whether it brings the rate down to its end: poly, cosine, and a line that falls."""
        if self.kind.startswith("LinearLR"):
            start, end = (self.node.value.get(name) for name in ("start_factor", "end_factor"))
            return isinstance(start, (int, float)) and isinstance(end, (int, float)) and end < start
        return self.kind.startswith(("PolyLR", "CosineAnnealingLR"))


@dataclass(frozen=True)
class Schedule:
    """The training loop and what runs by its clock.

    Args:
        loop: `train_cfg`, or None.
        by_epoch: Whether the loop counts epochs; None if it is neither loop of mmengine's.
        length: `max_iters` or `max_epochs`.
        val_interval, val_begin: As the loop takes them.
        dynamic_intervals: Changes of the interval, (from, interval), in order.
        validates: Whether the config sets up a validation at all.
        schedulers: Of the optimizer, in order.
    """

    loop: Node | None
    by_epoch: bool | None
    length: int | None
    val_interval: int | None
    val_begin: int | None
    dynamic_intervals: tuple[tuple[int, int], ...] | None
    validates: bool
    schedulers: tuple[Scheduler, ...] = field(default=())

    @property
    def unit(self) -> str:
        return "epoch" if self.by_epoch else "iteration"

    @cached_property
    def validations(self) -> tuple[int, ...] | None:
        """When it validates, at most the first thousand; None where that is not known.

        mmengine 0.10.10 and later validate at the end of the run too, whatever the interval; that one decides nothing.
        """
        if not self.validates:
            return ()
        if self.length is None or self.val_begin is None or self.dynamic_intervals is None or not self.val_interval:
            return None
        return tuple(self._validations())

    def _validations(self) -> Iterator[int]:
        length, interval, begin = self.length or 0, self.val_interval or 0, self.val_begin or 0
        milestones = [*(self.dynamic_intervals or ()), (length + 1, 0)]
        now, count = 0, 0
        for milestone, interval_after in milestones:
            while interval > 0 and count < 1000:
                validation = (max(now, begin - 1) // interval + 1) * interval
                if validation >= milestone or validation > length:
                    break
                now = validation
                count += 1
                yield now
            now, interval = max(now, milestone - 1), interval_after


def schedule_of(config: Lookup) -> Schedule:
    """The timeline of a config."""
    loop = config.section("train_cfg")
    kind = loop.type if loop is not None else None
    by_epoch: bool | None = None
    if kind is not None:
        by_epoch = {"EpochBasedTrainLoop": True, "IterBasedTrainLoop": False}.get(kind)
    elif loop is not None:
        value = config.value(loop, "by_epoch")
        by_epoch = value if isinstance(value, bool) else None
    dynamic = config.value(loop, "dynamic_intervals")
    val = config.get("val_dataloader")
    return Schedule(
        loop=loop,
        by_epoch=by_epoch,
        length=whole(config.value(loop, "max_epochs" if by_epoch else "max_iters")),
        # both loops: val_begin=1, val_interval=1000 iterations or 1 epoch (mmengine 0.10.7, runner/loops.py)
        val_interval=whole(config.value(loop, "val_interval", 1 if by_epoch else 1000)),
        val_begin=whole(config.value(loop, "val_begin", 1)),
        dynamic_intervals=_pairs(dynamic),
        validates=val is not None and val.value is not None,
        schedulers=tuple(_schedulers(config)),
    )


def _schedulers(config: Lookup) -> Iterator[Scheduler]:
    for node in entries(config.get("param_scheduler")):
        kind = node.type
        if not node.is_dict or kind is None:
            continue
        # by_epoch=True, begin=0, end=INF (mmengine 0.10.7, optim/scheduler/lr_scheduler.py)
        by_epoch = config.value(node, "by_epoch", True)
        end = config.value(node, "end", _NEVER)
        yield Scheduler(
            node=node,
            kind=kind,
            by_epoch=by_epoch if isinstance(by_epoch, bool) else None,
            begin=whole(config.value(node, "begin", 0)),
            end=None if end == _NEVER else whole(end),
            converts=config.value(node, "convert_to_iter_based") is True,
        )


def _pairs(value: Any) -> tuple[tuple[int, int], ...] | None:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        return None
    pairs = []
    for pair in value:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            return None
        at, interval = whole(pair[0]), whole(pair[1])
        if at is None or interval is None or interval < 1:
            return None
        pairs.append((at, interval))
    return tuple(sorted(pairs))
