"""The spans of parameter schedulers, against each other and the run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import whole
from provecfg.facts.schedule import Scheduler
from provecfg.findings import Severity
from provecfg.invariants import warmup_within_run
from provecfg.rules.edits import fix, put, removed, replaced
from provecfg.rules.rule import Mark, rule


def _same_clock(facts: Facts) -> Iterator[Scheduler]:
    """Schedulers that count what the training loop counts."""
    schedule = facts.schedule
    for scheduler in schedule.schedulers:
        if schedule.by_epoch is not None and scheduler.by_epoch is schedule.by_epoch:
            yield scheduler


@rule("SCHED003", Severity.ERROR)
def scheduler_outlasts_run(facts: Facts) -> Iterator[Mark]:
    """A learning-rate scheduler ends after the run does.

    Why it matters: a polynomial over 160000 iterations has hardly moved after 20000. Nothing says so: the rate simply
    never comes down. Mostly `max_iters` was changed and `end` was not, or iterations are written where epochs count.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=160000, by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=20000, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py; mmsegmentation issue 3113.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    if length is None:
        return
    for scheduler in _same_clock(facts):
        end = scheduler.end
        if not scheduler.closes or end is None or end <= length:
            continue
        node = scheduler.node.get("end")
        if node is None:
            continue
        begin = scheduler.begin or 0
        share = max(length - begin, 0) / max(end - begin, 1)
        yield Mark(
            node,
            f"{scheduler.kind} ends at {unit} {end}, the run at {length}: it gets {share:.0%} of the way",
            f"set end={length}",
            fix(f"end with the run, at {length}", replaced(node, length), safe=False),
        )


@rule("SCHED004", Severity.WARNING)
def scheduler_ends_early(facts: Facts) -> Iterator[Mark]:
    """The learning rate reaches zero before the run ends.

    Why it matters: the rest of the run trains nothing: the rate stays where the last scheduler left it.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)
        param_scheduler = [dict(type='PolyLR', eta_min=0.0, begin=0, end=40000, by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)
        param_scheduler = [dict(type='PolyLR', eta_min=0.0, begin=0, end=80000, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `step`.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    if length is None:
        return
    schedulers = facts.schedule.schedulers
    for scheduler in _same_clock(facts):
        end = scheduler.end
        if not scheduler.closes or end is None or end >= length:
            continue
        if any(other is not scheduler and (other.end is None or other.end > end) for other in schedulers):
            continue
        lowest = facts.argument(scheduler.node, "eta_min", "parameter scheduler")
        if scheduler.kind.startswith("LinearLR"):
            lowest = facts.value(scheduler.node, "end_factor")
        ratio = facts.argument(scheduler.node, "eta_min_ratio", "parameter scheduler")
        node = scheduler.node.get("end")
        if lowest == 0 and not isinstance(ratio, float) and node is not None:
            yield Mark(
                node,
                f"the learning rate is 0 from {unit} {end} on, the run ends at {length}",
                f"set end={length}",
                fix(f"end with the run, at {length}", replaced(node, length), safe=False),
            )


@rule("SCHED005", Severity.ERROR)
def warmup_outlasts_run(facts: Facts) -> Iterator[Mark]:
    """The warmup takes at least as long as the run.

    Why it matters: the base learning rate is never reached.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=500)
        param_scheduler = [dict(type='LinearLR', start_factor=1e-6, begin=0, end=1000, by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=500)
        param_scheduler = [dict(type='LinearLR', start_factor=1e-6, begin=0, end=50, by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `LinearParamScheduler`.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    if length is None:
        return
    for scheduler in _same_clock(facts):
        node = scheduler.node.get("end")
        if not scheduler.is_warmup or scheduler.end is None or node is None:
            continue
        problem = warmup_within_run(scheduler.end, length)
        if problem is not None and facts.schedule.by_epoch:
            problem = problem.replace("iterations", f"{unit}s")
        if problem is not None:
            yield Mark(node, problem, f"end it at {max(length // 10, 1)}, say")


@rule("SCHED006", Severity.ERROR)
def scheduler_counts_epochs(facts: Facts) -> Iterator[Mark]:
    """A scheduler counts epochs, and the loop iterations.

    Why it matters: a loop by iterations has one endless epoch, so the scheduler never steps and the learning rate never
    changes. `by_epoch` is True unless said otherwise.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=20000)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=20000, by_epoch=False)]

    Source: mmengine 0.10.7, hooks/param_scheduler_hook.py, `after_train_epoch`; mmengine pull request 926.
    """
    schedule = facts.schedule
    for scheduler in schedule.schedulers:
        if scheduler.kind.startswith("ReduceOnPlateau"):  # steps after each validation, see `after_val_epoch`
            continue
        if schedule.by_epoch is False and scheduler.by_epoch is True and not scheduler.converts:
            yield Mark(
                scheduler.node.get("by_epoch") or scheduler.node,
                f"{scheduler.kind} counts epochs, of which a loop by iterations has one: it never steps",
                "set by_epoch=False",
                fix("count iterations", put(scheduler.node, "by_epoch", False), safe=False),
            )


@rule("SCHED007", Severity.WARNING)
def schedulers_do_not_meet(facts: Facts) -> Iterator[Mark]:
    """There is a gap between two schedulers, or they overlap.

    Why it matters: in a gap the rate stays where it is; where two overlap, both change it.

    Bad:
        param_scheduler = [
            dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
            dict(type='PolyLR', begin=3000, end=90000, by_epoch=False),
        ]

    Good:
        param_scheduler = [
            dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
            dict(type='PolyLR', begin=1500, end=90000, by_epoch=False),
        ]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `step`; mmsegmentation pull request 2341.
    """
    schedulers = facts.schedule.schedulers
    for earlier, later in pairwise(schedulers):
        if earlier.parameter != later.parameter or earlier.by_epoch is not later.by_epoch:
            continue
        if earlier.end is None or later.begin is None or earlier.end == later.begin:
            continue
        gap = later.begin > earlier.end
        if (
            not gap
            and not (earlier.closes and later.closes)
            and later.kind.startswith(("MultiStep", "Step", "Exponential"))
        ):
            continue  # steps far beyond a warmup; their beginning decides nothing
        yield Mark(
            later.node.get("begin") or later.node,
            f"{later.kind} begins at {later.begin}, {earlier.kind} before it ends at {earlier.end}: "
            + ("the rate stands still between" if gap else "both change the rate between"),
            f"set begin={earlier.end}",
            fix(f"begin at {earlier.end}", put(later.node, "begin", earlier.end), safe=False),
        )


@rule("SCHED014", Severity.WARNING)
def step_after_end(facts: Facts) -> Iterator[Mark]:
    """A step of the learning rate lies after the end of the run.

    Why it matters: it is never taken; mostly `max_iters` was lowered, or iterations are written where epochs count.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='MultiStepLR', milestones=[60000, 80000], by_epoch=False)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
        param_scheduler = [dict(type='MultiStepLR', milestones=[12000, 16000], by_epoch=False)]

    Source: mmengine 0.10.7, optim/scheduler/lr_scheduler.py, `MultiStepLR`.
    """
    length, unit = facts.schedule.length, facts.schedule.unit
    if length is None:
        return
    for scheduler in _same_clock(facts):
        node = scheduler.node.get("milestones")
        if node is None or not node.is_list:
            continue
        late = [at for at in map(whole, node.value) if at is not None and at >= length]
        if late:
            yield Mark(node, f"a step at {unit} {late[0]}, and the run ends at {length}", "step earlier")


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
