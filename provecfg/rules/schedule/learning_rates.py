"""Moments that never come, and curves that go the wrong way."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number, whole
from provecfg.facts.schedule import Scheduler
from provecfg.findings import Severity
from provecfg.rules.edits import fix, removed
from provecfg.rules.rule import Mark, rule


@rule("SCHED017", Severity.WARNING)
def saved_after_end(facts: Facts) -> Iterator[Mark]:
    """The first checkpoint falls after the end of the run.

    Why it matters: there is none until the run is over. One that is killed on the way begins again from nothing.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=40000))

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4000))

    Known problems: -1 is the hook's own way to say that only the last and the best are kept.

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `after_train_iter`.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    for hook in facts.checkpoints:
        node = hook.get("interval")
        interval = whole(node.value) if node is not None else None
        by_epoch = facts.argument(hook, "by_epoch", "hook")
        if node is None or interval is None or length is None or by_epoch is not facts.schedule.by_epoch:
            continue
        if interval == 0 or interval > length:
            yield Mark(
                node, f"a checkpoint every {interval} {unit}s, and the run has {length}", "save at each validation"
            )


@rule("SCHED018", Severity.ERROR)
def schedulers_not_stepped(facts: Facts) -> Iterator[Mark]:
    """There are schedulers, and the hook that steps them is taken away.

    Why it matters: `param_scheduler=None` among the default hooks removes ParamSchedulerHook. The learning rate stays
    what it is at the first iteration; with a warmup, that is a tiny part of what was meant.

    Bad:
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=20000, by_epoch=False)]
        default_hooks = dict(param_scheduler=None)

    Good:
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=20000, by_epoch=False)]
        default_hooks = dict(param_scheduler=dict(type='ParamSchedulerHook'))

    Source: mmengine 0.10.7, runner/runner.py, `register_default_hooks`.
    """
    node = facts.get("default_hooks.param_scheduler")
    stepped_elsewhere = any(True for _ in facts.hooks_of("ParamSchedulerHook"))
    if node is not None and node.value is None and facts.schedule.schedulers and not stepped_elsewhere:
        yield Mark(
            node,
            "no hook steps the schedulers: the learning rate never changes",
            "leave it out",
            fix("leave it out", removed(node), safe=False),
        )


@rule("SCHED019", Severity.WARNING)
def nothing_logged(facts: Facts) -> Iterator[Mark]:
    """Training is never logged.

    Why it matters: no loss, no learning rate and no time to the end, on the screen or in the record. What went wrong
    can be told only by training again.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        default_hooks = dict(logger=dict(type='LoggerHook', interval=100000))

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        default_hooks = dict(logger=dict(type='LoggerHook', interval=50))

    Source: mmengine 0.10.7, hooks/logger_hook.py, `after_train_iter`.
    """
    node = facts.get("default_hooks.logger")
    if node is None:
        return
    if node.value is None:
        if not any(True for _ in facts.hooks_of("LoggerHook")):
            yield Mark(node, "the logger is taken away, and nothing is logged", "leave it out")
        return
    interval, length = node.get("interval"), facts.schedule.length
    every = whole(interval.value) if interval is not None else None
    if interval is None or every is None or length is None or facts.schedule.by_epoch is not False:
        return
    if every > length:
        yield Mark(interval, f"a line every {every} iterations, and the run has {length}", "log every 50, say")


def _of_rates(facts: Facts) -> Iterator[Scheduler]:
    return (one for one in facts.schedule.schedulers if one.parameter == "LR")


@rule("SCHED020", Severity.WARNING)
def low_for_long(facts: Facts) -> Iterator[Mark]:
    """The decay ends before half of the run is over.

    Why it matters: the rest is trained at the smallest rate. Mostly `max_iters` was raised and `end` was not.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)
        param_scheduler = [dict(type='PolyLR', eta_min=1e-4, begin=0, end=20000, by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)
        param_scheduler = [dict(type='PolyLR', eta_min=1e-4, begin=0, end=80000, by_epoch=False)]

    Known problems: a decay to zero is SCHED004's.

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `step`.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    schedulers = list(_of_rates(facts))
    for scheduler in schedulers:
        end, node = scheduler.end, scheduler.node.get("end")
        if length is None or end is None or node is None or scheduler.by_epoch is not facts.schedule.by_epoch:
            continue
        if not scheduler.closes or scheduler.converts or 2 * end >= length:
            continue
        if any(other is not scheduler and (other.end is None or other.end > end) for other in schedulers):
            continue
        if facts.argument(scheduler.node, "eta_min", "parameter scheduler") != 0:
            yield Mark(
                node,
                f"the learning rate is at its lowest from {unit} {end} on, the run ends at {length}",
                f"set end={length}",
            )


@rule("SCHED021", Severity.WARNING)
def rate_does_not_fall(facts: Facts) -> Iterator[Mark]:
    """A decay holds the learning rate, or raises it.

    Why it matters: a polynomial of power 0 is flat, and one of a negative power rises; so does any decay to an
    `eta_min` above the rate that it starts from. The run ends at the rate that it should have left.

    Bad:
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-5))
        param_scheduler = [dict(type='PolyLR', eta_min=1e-3, begin=0, end=20000, by_epoch=False)]

    Good:
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-5))
        param_scheduler = [dict(type='PolyLR', eta_min=1e-6, begin=0, end=20000, by_epoch=False)]

    Known problems: groups with a rate of their own, by `lr_mult`, are not judged.

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `PolyParamScheduler._get_value`.
    """
    base = number(facts.value(facts.section("optim_wrapper.optimizer"), "lr"))
    for scheduler in _of_rates(facts):
        if not scheduler.kind.startswith(("PolyLR", "CosineAnnealingLR")):
            continue
        power, lowest = scheduler.node.get("power"), scheduler.node.get("eta_min")
        exponent = number(power.value) if power is not None else None
        floor = number(lowest.value) if lowest is not None else None
        if power is not None and exponent is not None and exponent <= 0:
            yield Mark(power, f"power is {exponent:g}: the rate {'rises' if exponent < 0 else 'stays'}", "0.9 is usual")
        if lowest is not None and floor is not None and base is not None and 0 < base <= floor:
            yield Mark(lowest, f"eta_min is {floor:g}, and the rate {base:g}", "set one below the rate")


@rule("SCHED022", Severity.ERROR)
def scheduler_never_begins(facts: Facts) -> Iterator[Mark]:
    """A scheduler begins when it has ended, or when the run has.

    Why it matters: mmengine refuses an `end` that is not after `begin`; one that begins after the run changes nothing.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=20000, end=20000, by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=20000, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `_ParamScheduler.__init__`.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    for scheduler in facts.schedule.schedulers:
        begin, end, node = scheduler.begin, scheduler.end, scheduler.node.get("begin")
        if begin is None or node is None:
            continue
        same_clock = scheduler.by_epoch is facts.schedule.by_epoch and not scheduler.converts
        if end is not None and begin >= end:
            yield Mark(node, f"{scheduler.kind} begins at {begin} and ends at {end}", "let it begin earlier")
        elif same_clock and length is not None and begin >= length:
            yield Mark(
                node, f"{scheduler.kind} begins at {unit} {begin}, the run ends at {length}", "let it begin earlier"
            )


@rule("SCHED023", Severity.ERROR)
def factor_out_of_range(facts: Facts) -> Iterator[Mark]:
    """A factor of the learning rate is outside of 0 and 1.

    Why it matters: mmengine refuses it when the schedulers are built. A warmup cannot start from nothing: each rate is
    a multiple of the one before it, and the first step divides by zero.

    Bad:
        param_scheduler = [dict(type='LinearLR', start_factor=0, begin=0, end=1500, by_epoch=False)]

    Good:
        param_scheduler = [dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `LinearParamScheduler.__init__` and
    `ConstantParamScheduler.__init__`.
    """
    for scheduler in facts.schedule.schedulers:
        kind = scheduler.kind
        if not kind.startswith(("Linear", "Constant")):
            continue
        for name in ("start_factor", "end_factor", "factor"):
            node = scheduler.node.get(name)
            factor = number(node.value) if node is not None else None
            if node is None or factor is None:
                continue
            too_low = factor <= 0 if name == "start_factor" else factor < 0
            if too_low or factor > 1:
                yield Mark(node, f"{name} of {kind} is {factor:g}", "set one above 0 and at most 1")
