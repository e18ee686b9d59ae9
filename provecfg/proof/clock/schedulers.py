"""The parameter schedulers of a config, built for real and stepped over the whole run without training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from mmengine.hooks import ParamSchedulerHook
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from provecfg.proof.clock.dry_run import CountingRunner
from provecfg.proof.clock.optimizer_groups import optimizers_of
from provecfg.proof.clock.scheduler_steps import (
    ParameterHistory,
    SchedulerError,
    advance,
    advance_epochs,
    one_step,
    real_numbers,
)
from provecfg.proof.exceptions import described

MOST_STEPS = 2_000_000
"""Steps beyond which a run is not gone through."""
_MOST_BEYOND = 400_000  # steps after the run's end, to see where an unfinished scheduler was going


@dataclass(frozen=True, slots=True)
class SteppedScheduler:
    """A scheduler after the run.

    Args:
        key: Its place in the config.
        config: What the config says of it.
        scheduler: The real one.
        steps: How often it was stepped before the last iteration was over; None where it is a metric that decides.
        per_point: Steps of it for each point of the curves: 1, or less than 1 where it counts epochs and the points
            are iterations.
    """

    key: str
    config: Any
    scheduler: _ParamScheduler
    steps: int | None
    per_point: float

    @property
    def kind(self) -> str:
        """Its class."""
        return type(self.scheduler).__name__

    def point(self, step: int) -> int:
        """The point of the curves at which it has been stepped so often."""
        return int(step / self.per_point)


@dataclass(frozen=True, slots=True)
class Curve:
    """What a parameter of a group is over the run.

    Args:
        parameter: `lr` or `momentum`.
        base: Its value before any scheduler.
        share: Share of the model's parameters in groups like this, in [0, 1].
        values: (points,) float64, the value in each iteration (or epoch, where no scheduler counts iterations).
        beyond: (more,) float64, what would come after the run, up to the end of the longest scheduler; may be cut off.
    """

    parameter: str
    base: float
    share: float
    values: np.ndarray
    beyond: np.ndarray


@dataclass(frozen=True, slots=True)
class OptimizerSchedule:
    """Schedulers and curves of one optimizer.

    Args:
        name: Of the optimizer, '' if there is only one.
        schedulers: In the config's order.
        curves: One for each parameter and chosen group; the first of a parameter has the most of the model in it.
        points_in_epoch: Points of the curves in an epoch; None where the loop has no epochs.
        is_hooked: Whether a hook steps the schedulers.
    """

    name: str
    schedulers: tuple[SteppedScheduler, ...]
    curves: tuple[Curve, ...]
    points_in_epoch: int | None
    is_hooked: bool


def step_schedulers(runner: CountingRunner, length: int, batches: int | None) -> list[OptimizerSchedule]:
    """Build the schedulers as the Runner does, and step them as its hooks do.

    Stretches in which a scheduler does nothing, before its begin and after its end, are counted and not stepped. Of
    groups that differ in their values, the lowest, the highest and that with the most of the model (and a rate that is
    not 0) are stepped.

    Args:
        runner: With its loop and optimizers built.
        length: Iterations of the run, or epochs where `batches` is given.
        batches: Iterations in an epoch of a loop by epochs, or None.

    Raises:
        SchedulerError: One cannot be built, or fails on the way.
    """
    is_hooked = any(isinstance(hook, ParamSchedulerHook) for _, hook in runner.register_kinds((ParamSchedulerHook,)))
    declared = runner.cfg.get("param_scheduler")
    schedules = []
    for name, optimizer in optimizers_of(runner.optim_wrapper).items():
        own, prefix = declared, "param_scheduler"
        if name and isinstance(declared, dict) and "type" not in declared:
            own, prefix = declared.get(name), f"param_scheduler.{name}"
        groups, shares = _chosen_groups(optimizer)
        stand_in = _stand_in(optimizer, groups)
        before = [dict(group) for group in stand_in.param_groups]
        whole = runner.optim_wrapper[name] if name else runner.optim_wrapper
        for key, config in _listed(own, prefix):
            _built(runner, key, config, whole)  # over all groups, to see whether it can be
        schedulers = [(key, config, _built(runner, key, config, stand_in)) for key, config in _listed(own, prefix)]
        schedules.append(
            _stepped(name, stand_in, before, shares, schedulers, length, batches if is_hooked else None, is_hooked)
        )
    return schedules


def scheduler_alone(runner: CountingRunner, stepped: SteppedScheduler, steps: int, base: float) -> np.ndarray:
    """(steps,) float64: what the scheduler makes of a rate or momentum of `base` alone, from its begin on."""
    optimizer: Any = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base, momentum=base)
    scheduler = _built(runner, stepped.key, stepped.config, optimizer)
    optimizer._global_step = 0
    group = optimizer.param_groups[0]
    if scheduler.begin > 0:
        scheduler._global_step = scheduler.begin - 1
        one_step(stepped.key, scheduler)
    values = []
    for _ in range(ceil(steps)):
        values.append(group[scheduler.param_name])
        one_step(stepped.key, scheduler)
    return real_numbers(values)


def _listed(declared: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """The schedulers of one optimizer, each with its key."""
    if isinstance(declared, dict) and "type" in declared:
        yield prefix, declared
    elif isinstance(declared, (list, tuple)):
        yield from ((f"{prefix}[{index}]", config) for index, config in enumerate(declared))
    elif isinstance(declared, dict):
        raise SchedulerError(prefix, f"it has no type, and there is one optimizer: {', '.join(map(str, declared))}")


def _built(runner: CountingRunner, key: str, config: Any, optimizer: Any) -> _ParamScheduler:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler: _ParamScheduler = runner.built_scheduler(config, optimizer)
    except Exception as error:  # a class or value of the config's own
        raise SchedulerError(key, f"cannot be built: {described(error)}") from error
    return scheduler


def _chosen_groups(optimizer: torch.optim.Optimizer) -> tuple[list[dict[str, Any]], list[float]]:
    """Settings of the chosen groups, that with the most parameters first, and the share of parameters like each."""
    sizes: dict[tuple[Any, ...], int] = {}
    settings: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in optimizer.param_groups:
        # What schedulers set; an optimizer without one of them has None.
        kind = (group["lr"], group.get("momentum"), tuple(group.get("betas") or ()))
        sizes[kind] = sizes.get(kind, 0) + sum(parameter.numel() for parameter in group["params"])
        settings.setdefault(kind, {key: value for key, value in group.items() if key != "params"})
    by_rate = sorted(sizes) if all(_is_number(kind[0]) for kind in sizes) else list(sizes)
    trained = [kind for kind in sizes if kind[0]] or list(sizes)
    chosen = dict.fromkeys([max(trained, key=sizes.__getitem__), by_rate[0], by_rate[-1]])
    total = sum(sizes.values()) or 1
    return [settings[kind] for kind in chosen], [sizes[kind] / total for kind in chosen]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _stand_in(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """An optimizer of these groups, one parameter in each; schedulers look at nothing else."""
    stand_in = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    stand_in.defaults = dict(optimizer.defaults)
    stand_in.param_groups = [{**group, "params": [torch.zeros(1, requires_grad=True)]} for group in groups]
    return stand_in


def _stepped(
    name: str,
    optimizer: Any,
    before: list[dict[str, Any]],
    shares: list[float],
    built: list[tuple[str, Any, _ParamScheduler]],
    length: int,
    batches: int | None,
    is_hooked: bool,
) -> OptimizerSchedule:
    optimizer._global_step = 0  # as after its first step
    timed = [(key, scheduler) for key, _, scheduler in built if not getattr(scheduler, "need_val_args", False)]
    by_iteration = [(key, scheduler) for key, scheduler in timed if not scheduler.by_epoch]
    by_epoch = [(key, scheduler) for key, scheduler in timed if scheduler.by_epoch]
    parameters = list(dict.fromkeys(["lr", *(scheduler.param_name for _, scheduler in timed)]))
    history = ParameterHistory(optimizer, parameters)
    points_in_epoch = None
    if not is_hooked:
        history.stay(length)
    elif batches is None:
        advance(by_iteration, length, history)
    elif not by_iteration:
        points_in_epoch = 1
        advance(by_epoch, length, history)
    else:
        points_in_epoch = batches
        advance_epochs(by_iteration, by_epoch, length, batches, history)
    points = len(history)
    if is_hooked and batches is not None and points_in_epoch == batches > 1:
        epochs = max([ceil(scheduler.end - length) for _, scheduler in by_epoch], default=0)
        epochs = max([epochs, *(ceil((scheduler.end - points) / batches) for _, scheduler in by_iteration)])
        advance_epochs(by_iteration, by_epoch, min(epochs, _MOST_BEYOND // batches), batches, history)
    elif is_hooked:
        stepping = by_epoch if points_in_epoch else by_iteration
        more = max([ceil(scheduler.end - points) for _, scheduler in stepping], default=0)
        advance(stepping, min(more, _MOST_BEYOND), history)

    def after_run(key: str, config: Any, scheduler: _ParamScheduler) -> SteppedScheduler:
        steps: int | None = 0
        per_point = 1.0
        if getattr(scheduler, "need_val_args", False):
            steps = None
        elif is_hooked and scheduler.by_epoch and batches is not None:
            steps, per_point = length, 1 / (points_in_epoch or 1)
        elif is_hooked and not scheduler.by_epoch:
            steps = points
        return SteppedScheduler(key, config, scheduler, steps, per_point)

    curves = tuple(
        Curve(parameter, float(_setting(group, parameter)), share, values[:points], values[points:])
        for parameter in parameters
        for (group, share), values in zip(zip(before, shares, strict=True), history.of(parameter), strict=True)
    )
    return OptimizerSchedule(name, tuple(after_run(*each) for each in built), curves, points_in_epoch, is_hooked)


def _setting(group: Mapping[str, Any], parameter: str) -> Any:
    if parameter == "momentum" and "momentum" not in group and group.get("betas"):
        return group["betas"][0]
    return group.get(parameter, float("nan"))
