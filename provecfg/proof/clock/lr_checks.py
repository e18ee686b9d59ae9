"""What is wrong with the curve of a learning rate or momentum, and with the schedulers that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from mmengine.optim.scheduler.param_scheduler import (
    ConstantParamScheduler,
    CosineAnnealingParamScheduler,
    CosineRestartParamScheduler,
    ExponentialParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    OneCycleParamScheduler,
    StepParamScheduler,
)

from provecfg.findings import Finding
from provecfg.proof.clock.lr_shape import TimeAxis
from provecfg.proof.clock.problems import (
    DO_NOT_MEET,
    LOW_FOR_LONG,
    NEVER_DECAYS,
    NEVER_STEPS,
    NO_RATE,
    RISES,
    UNFINISHED,
    WARMUP_UNFINISHED,
)
from provecfg.proof.clock.schedulers import Curve, OptimizerSchedule, SteppedScheduler

_ZERO = 1e-6  # of the highest rate: below it nothing is trained
_IN_STEPS = (StepParamScheduler, MultiStepParamScheduler, ExponentialParamScheduler)
_CYCLIC = (CosineRestartParamScheduler, OneCycleParamScheduler)

Alone = Callable[[SteppedScheduler, int, float], np.ndarray]
"""What a scheduler does alone: scheduler, steps, base value -> its values."""


def check_schedule(schedule: OptimizerSchedule, axis: TimeAxis, alone: Alone) -> Iterator[Finding]:
    """Findings about all curves and schedulers of an optimizer."""
    timed = [stepped for stepped in schedule.schedulers if stepped.steps is not None]
    if not schedule.is_hooked and timed:
        yield Finding(
            NEVER_STEPS,
            "schedulers are declared, and no ParamSchedulerHook steps them",
            "default_hooks.param_scheduler",
            "leave the hook on",
        )
        return
    for parameter in dict.fromkeys(curve.parameter for curve in schedule.curves):
        curves = [curve for curve in schedule.curves if curve.parameter == parameter]
        schedulers = [stepped for stepped in timed if stepped.scheduler.param_name == parameter]
        yield from _check_parameter(curves, schedulers, axis, alone)


def _check_parameter(
    curves: list[Curve], schedulers: list[SteppedScheduler], axis: TimeAxis, alone: Alone
) -> Iterator[Finding]:
    main, key = curves[0], schedulers[-1].key if schedulers else "param_scheduler"
    for curve in curves:
        wrong = np.flatnonzero(~np.isfinite(curve.values) | (curve.values < 0))
        if len(wrong):
            value = f"{curve.values[wrong[0]]:g}"
            yield Finding(NO_RATE, f"{curve.parameter} is {value} at {axis.unit} {axis.at(wrong[0] + 1)}", key)
            return
    stopped = False
    for stepped in schedulers:
        for finding in _unfinished(stepped, main, axis):
            stopped = True
            yield finding
        for finding in _stuck(stepped, main, alone):
            stopped = True
            yield finding
    yield from _do_not_meet(schedulers, main, axis, alone)
    if main.parameter != "lr" or stopped or not schedulers:
        return
    yield from _ends(main, schedulers, axis)
    for curve in curves[1:]:
        if curve.values[-1] > curve.base * 1.01 and main.values[-1] < main.base:
            yield Finding(
                RISES,
                f"lr of a group with {curve.share:.1%} of the parameters rises from {curve.base:g} to "
                f"{curve.values[-1]:g} while that of the others falls",
                key,
                "give eta_min_ratio, or an eta_min below the lowest rate",
            )


def _unfinished(stepped: SteppedScheduler, curve: Curve, axis: TimeAxis) -> Iterator[Finding]:
    scheduler, steps = stepped.scheduler, stepped.steps or 0
    if steps == 0:
        yield Finding(
            NEVER_STEPS,
            f"{stepped.kind} counts epochs, of which this loop has one: it is never stepped before the end",
            f"{stepped.key}.by_epoch",
            "set by_epoch=False",
        )
        return
    if scheduler.begin >= steps:
        yield Finding(
            UNFINISHED,
            f"{stepped.kind} begins at {scheduler.begin}, and is stepped {steps} times in this run",
            f"{stepped.key}.begin",
        )
        return
    if isinstance(scheduler, MultiStepParamScheduler):
        until = min(scheduler.end, steps) - scheduler.begin
        late = sorted(milestone for milestone in scheduler.milestones if milestone >= until)
        if late:
            yield Finding(
                UNFINISHED,
                f"the step of {stepped.kind} at {late[0]} is never taken: it comes to {until} in this run",
                f"{stepped.key}.milestones",
                "step earlier",
            )
        return
    if isinstance(scheduler, _IN_STEPS):
        return
    yield from _short_of(stepped, curve, axis, steps)


def _short_of(stepped: SteppedScheduler, curve: Curve, axis: TimeAxis, steps: int) -> Iterator[Finding]:
    """A scheduler whose end, or whose period, lies after the run."""
    scheduler = stepped.scheduler
    values = np.concatenate([curve.values, curve.beyond])
    start = float(values[stepped.point(scheduler.begin)])
    now = float(curve.values[-1])
    if isinstance(scheduler, OneCycleParamScheduler) and scheduler.total_steps > 1.05 * (steps - scheduler.begin):
        yield Finding(
            UNFINISHED,
            f"{stepped.kind} takes {scheduler.total_steps} steps, and gets {steps - scheduler.begin}: "
            f"lr ends at {now:g}",
            f"{stepped.key}.total_steps",
        )
        return
    if scheduler.end > steps:
        last = min(stepped.point(scheduler.end - 1), len(values) - 1)
        goal = float(values[last])
        gone = (now - start) / (goal - start) if goal != start else 1.0
        if gone >= 0.95:
            return
        rises = goal > start
        what = "reaches" if rises else "comes down to"
        # Where its end is too far away to be stepped to, the way to it is not known.
        way = f", {max(gone, 0):.0%} of the way" if last == stepped.point(scheduler.end - 1) else ""
        yield Finding(
            WARMUP_UNFINISHED if rises else UNFINISHED,
            f"{stepped.kind} ends at {scheduler.end}, and is stepped {steps} times in this run: {curve.parameter} "
            f"{what} {now:.4g} from {start:.4g}{way}",
            f"{stepped.key}.end",
            f"set end={steps}" if not rises else f"end it at {max(steps // 10, 2)}, say",
        )
    elif isinstance(scheduler, CosineAnnealingParamScheduler):
        stretch = scheduler.end - scheduler.begin
        if scheduler.T_max > 1.1 * stretch:
            yield Finding(
                UNFINISHED,
                f"T_max of {stepped.kind} is {scheduler.T_max} over a stretch of {stretch}: {curve.parameter} never "
                f"comes down to its minimum, and is {float(values[stepped.point(scheduler.end - 1)]):.4g} at its end",
                f"{stepped.key}.T_max",
                f"set T_max={stretch}, or leave it out",
            )


def _stuck(stepped: SteppedScheduler, curve: Curve, alone: Alone) -> Iterator[Finding]:
    """A warmup that its own end does not bring to where it says: mmengine's quirk of a single step."""
    scheduler, steps = stepped.scheduler, stepped.steps or 0
    span = scheduler.end - scheduler.begin
    if not isinstance(scheduler, (LinearParamScheduler, ConstantParamScheduler)) or scheduler.end > steps or span > 16:
        return
    goal = getattr(scheduler, "end_factor", 1.0)
    reached = float(alone(stepped, span + 1, 1.0)[-1])
    if abs(reached - goal) > 0.01:
        yield Finding(
            WARMUP_UNFINISHED,
            f"{stepped.kind} from {scheduler.begin} to {scheduler.end} leaves {curve.parameter} at {reached:g} of its "
            f"base: it is never more than {float(np.max(curve.values)):.4g}",
            f"{stepped.key}.end",
            "warm up for two steps or more, or leave it out",
        )


def _do_not_meet(schedulers: list[SteppedScheduler], curve: Curve, axis: TimeAxis, alone: Alone) -> Iterator[Finding]:
    ordered = sorted(schedulers, key=lambda stepped: stepped.scheduler.begin)
    for index, later in enumerate(ordered):
        begin, steps = later.scheduler.begin, later.steps or 0
        earlier = [stepped for stepped in ordered[:index] if stepped.scheduler.by_epoch is later.scheduler.by_epoch]
        if not earlier or begin >= steps:
            continue
        before = max(earlier, key=lambda stepped: stepped.scheduler.end)
        end = before.scheduler.end
        # A long plateau is a design; a short one, between two that were meant to meet, is a slip.
        if 0 < begin - end < 0.1 * steps and np.ptp(curve.values[later.point(end) : later.point(begin)]) == 0:
            yield Finding(
                DO_NOT_MEET,
                f"{curve.parameter} stands still at {curve.values[later.point(end)]:.4g} from {end}, where "
                f"{before.kind} ends, to {begin}, where {later.kind} begins",
                f"{later.key}.begin",
                f"set begin={end}",
            )
        elif begin < min(end, steps) and not isinstance(later.scheduler, _IN_STEPS):
            shared = min(end, later.scheduler.end, steps) - begin
            if _moves(before, begin, shared, alone) and _moves(later, begin, shared, alone):
                yield Finding(
                    DO_NOT_MEET,
                    f"{before.kind} and {later.kind} both change {curve.parameter} from {begin} to {begin + shared}",
                    f"{later.key}.begin",
                    f"set begin={end}",
                )


def _moves(stepped: SteppedScheduler, begin: int, shared: int, alone: Alone) -> bool:
    """Whether the scheduler alone changes the value in most of the first steps from `begin` on."""
    seen = min(shared, 32)
    offset = int(begin - stepped.scheduler.begin)
    values = alone(stepped, offset + int(seen) + 1, 1.0)[offset:]
    return bool(np.count_nonzero(np.diff(values)) > seen / 2)


def _ends(curve: Curve, schedulers: list[SteppedScheduler], axis: TimeAxis) -> Iterator[Finding]:
    values, points = curve.values, len(curve.values)
    key, last = schedulers[-1].key, float(values[-1])
    top = int(np.argmax(values))
    peak = float(values[top])
    if peak <= 0:
        return
    zeros = values <= _ZERO * peak
    still = int(np.flatnonzero(np.append(True, np.diff(values) != 0))[-1])  # from here on it does not change
    finished = [stepped for stepped in schedulers if stepped.scheduler.end <= (stepped.steps or 0)]
    decays = [stepped for stepped in schedulers if _decays(stepped)]
    if np.count_nonzero(zeros) > max(0.01 * points, 2):
        first = int(np.flatnonzero(~zeros)[-1]) + 1  # of those at the end
        yield Finding(
            NO_RATE,
            f"lr is {float(values[first]):.4g} from {axis.unit} {axis.at(first + 1)} on"
            if points - first > 2
            else f"lr is next to 0 in {np.count_nonzero(zeros) / points:.0%} of the run",
            f"{key}.end" if points - first > 2 else key,
            f"nothing is trained there; the run ends at {axis.at(points)}",
        )
    elif len(finished) == len(schedulers) and decays and still < min(0.75 * points, points - 1) and last <= 0.02 * peak:
        yield Finding(
            LOW_FOR_LONG,
            f"lr is at its lowest, {last:.4g}, from {axis.unit} {axis.at(still + 1)} on; the run ends at "
            f"{axis.at(points)}",
            f"{decays[-1].key}.end",
            "end the decay with the run",
        )
    elif decays and float(np.min(values[top:])) > 0.9 * peak:
        yield Finding(
            NEVER_DECAYS,
            f"{decays[-1].kind} is declared, and lr never falls: it is {float(values[0]):.4g} at first and "
            f"{last:.4g} at the end",
            decays[-1].key,
        )
    if any(isinstance(stepped.scheduler, _CYCLIC) for stepped in schedulers):
        return
    # Where the last rate is the highest, it never fell, which is said above.
    recent = values[-max(points // 10, 2) :]
    if (
        decays
        and top < points - 1
        and last > 0.1 * peak
        and last > 1.05 * float(np.min(values[top:]))
        and bool(np.all(np.diff(recent) >= 0))
    ):
        yield Finding(
            RISES,
            f"lr rises at the end of the run, from {float(np.min(values[top:])):.4g} to {last:.4g}",
            key,
            "leave T_max out, or end in a trough",
        )


def _decays(stepped: SteppedScheduler) -> bool:
    scheduler = stepped.scheduler
    if isinstance(scheduler, LinearParamScheduler):
        return bool(scheduler.end_factor < scheduler.start_factor)
    return not isinstance(scheduler, ConstantParamScheduler)
