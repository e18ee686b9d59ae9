"""What the learning rate does over the run."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number, whole
from provecfg.facts.schedule import Scheduler
from provecfg.findings import Severity
from provecfg.rules.edits import fix, replaced
from provecfg.rules.rule import Mark, rule


@rule("SCHED015", Severity.WARNING)
def cosine_period(facts: Facts) -> Iterator[Mark]:
    """The half period of a cosine does not fit its stretch of the run.

    Why it matters: `T_max` shorter than `end - begin` makes the rate rise again; longer, and it never comes down to
    `eta_min`.

    Bad:
        param_scheduler = [dict(type='CosineAnnealingLR', T_max=20000, begin=0, end=40000, by_epoch=False)]

    Good:
        param_scheduler = [dict(type='CosineAnnealingLR', T_max=40000, begin=0, end=40000, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `CosineAnnealingParamScheduler`.
    """
    for scheduler in facts.schedule.schedulers:
        node = scheduler.node.get("T_max")
        period = whole(node.value) if node is not None else None
        if node is None or period is None or scheduler.end is None or scheduler.begin is None:
            continue
        length = facts.schedule.length
        end = min(scheduler.end, length) if length and scheduler.by_epoch is facts.schedule.by_epoch else scheduler.end
        stretch = end - scheduler.begin
        deliberate = period > 0 and stretch % period == 0 and stretch // period % 2 == 1  # cycles that end low
        if stretch > 0 and not deliberate and not 0.9 * stretch <= period <= 1.1 * stretch:
            yield Mark(
                node,
                f"T_max={period} over a stretch of {stretch}: "
                + ("the rate rises again" if period < stretch else "the rate never comes down to eta_min"),
                f"set T_max={stretch}, or leave it out",
                fix(f"set T_max={stretch}", replaced(node, stretch), safe=False),
            )


@rule("SCHED016", Severity.ERROR)
def warmup_of_one_step(facts: Facts) -> Iterator[Mark]:
    """A warmup of a single step never ends.

    Why it matters: mmengine's LinearLR and ConstantLR reach their end a step before `end`. With one step there is none
    before it, so the rate stays at its start, a tiny part of what was meant, for the whole run.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=100)
        param_scheduler = [dict(type='LinearLR', start_factor=1e-6, begin=0, end=1, by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=100)
        param_scheduler = [dict(type='LinearLR', start_factor=1e-6, begin=0, end=100, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `LinearParamScheduler`.
    """
    for scheduler in facts.schedule.schedulers:
        if not scheduler.kind.startswith(("Linear", "Constant")) or scheduler.converts:
            continue
        if scheduler.begin is not None and scheduler.end is not None and scheduler.end - scheduler.begin == 1:
            yield Mark(
                scheduler.node.get("end") or scheduler.node,
                f"{scheduler.kind} from {scheduler.begin} to {scheduler.end}: one step, after which nothing changes",
                "warm up for longer, or leave it out",
            )


def _of_rates(facts: Facts) -> Iterator[Scheduler]:
    return (scheduler for scheduler in facts.schedule.schedulers if scheduler.parameter == "LR")


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
