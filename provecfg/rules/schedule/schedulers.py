"""Loops, intervals and learning-rate schedulers: one clock, and a schedule that fits the run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import whole
from provecfg.facts.schedule import Scheduler
from provecfg.findings import Severity
from provecfg.invariants import validation_within_run, warmup_within_run
from provecfg.registry.layout import PHASES
from provecfg.rules.edits import fix, put, removed, replaced
from provecfg.rules.rule import Mark, rule


def _same_clock(facts: Facts) -> Iterator[Scheduler]:
    """Schedulers that count what the training loop counts."""
    schedule = facts.schedule
    for scheduler in schedule.schedulers:
        if schedule.by_epoch is not None and scheduler.by_epoch is schedule.by_epoch:
            yield scheduler


@rule("SCHED001", Severity.ERROR)
def validation_after_end(facts: Facts) -> Iterator[Mark]:
    """The first validation would be after the end of the run.

    Why it matters: mostly `max_iters` was lowered and `val_interval` inherited. Nothing is validated on the way, so
    there is no early stopping and no best checkpoint; releases before mmengine 0.10.8 do not validate at all.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=160000)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)

    Source: mmengine 0.10.7, runner/loops.py, `IterBasedTrainLoop.run`.
    """
    schedule = facts.schedule
    if (
        schedule.loop is None
        or schedule.length is None
        or schedule.by_epoch is None
        or schedule.dynamic_intervals != ()
    ):
        return
    begin = schedule.loop.get("val_begin")
    if (
        begin is not None and (schedule.val_begin or 0) > schedule.length + 1 and not facts.early_stopping
    ):  # else STOP010
        yield Mark(
            begin,
            f"the first validation would be at {schedule.unit} {schedule.val_begin}, after the run's end at "
            f"{schedule.length}",
            "begin validating earlier",
        )
    node, interval = schedule.loop.get("val_interval"), schedule.val_interval
    if interval == schedule.length + 1:
        return  # how mmdet's configs say "no validation"
    if node is None or interval is None or (not schedule.validates and facts.loader("train") is not None):
        return
    if schedule.by_epoch:
        problem = (
            f"the first validation would be at epoch {interval}, after the run's end at {schedule.length}"
            if interval > schedule.length
            else None
        )
    else:
        problem = validation_within_run(interval, schedule.length)
    if problem is not None:
        yield Mark(node, problem, f"set val_interval to {max(schedule.length // 10, 1)}, say")


@rule("SCHED002", Severity.ERROR)
def interval_not_positive(facts: Facts) -> Iterator[Mark]:
    """A length or an interval of the training loop is not positive.

    Why it matters: `val_interval=0` is a ZeroDivisionError at the first iteration.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=0)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=4000)

    Source: mmengine 0.10.7, runner/loops.py.
    """
    loop = facts.schedule.loop
    for name in ("val_interval", "max_iters", "max_epochs"):
        node = loop.get(name) if loop is not None else None
        value = whole(node.value) if node is not None else None
        if node is not None and value is not None and value < 1:
            hint = (
                "leave val_dataloader out for a run without validation" if name == "val_interval" else "give 1 or more"
            )
            yield Mark(node, f"{name}={value}", hint)


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
    for one, other in pairwise(schedulers):
        if one.parameter != other.parameter or one.by_epoch is not other.by_epoch:
            continue
        if one.end is None or other.begin is None or one.end == other.begin:
            continue
        gap = other.begin > one.end
        if (
            not gap
            and not (one.closes and other.closes)
            and other.kind.startswith(("MultiStep", "Step", "Exponential"))
        ):
            continue  # steps far beyond a warmup; their beginning decides nothing
        yield Mark(
            other.node.get("begin") or other.node,
            f"{other.kind} begins at {other.begin}, {one.kind} before it ends at {one.end}: "
            + ("the rate stands still between" if gap else "both change the rate between"),
            f"set begin={one.end}",
            fix(f"begin at {one.end}", put(other.node, "begin", one.end), safe=False),
        )


@rule("SCHED008", Severity.ERROR)
def endless_epoch(facts: Facts) -> Iterator[Mark]:
    """A loop that waits for the end of an epoch has an endless sampler.

    Why it matters: InfiniteSampler never runs out. The first epoch never ends: no validation, no checkpoint. In a
    validation loader, the first validation never ends.

    Bad:
        train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))

    Good:
        train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100)
        train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True))

    Source: mmengine 0.10.7, runner/loops.py, `EpochBasedTrainLoop.run_epoch`; mmsegmentation issue 2566.
    """
    for loader in facts.loaders:
        sampler = loader.node.get("sampler")
        if sampler is None or sampler.type != "InfiniteSampler":
            continue
        if loader.split == "train" and facts.schedule.by_epoch is not True:
            continue
        loop = "the loop by epochs" if loader.split == "train" else "a validation"
        node = sampler.get("type") or sampler
        yield Mark(
            node,
            f"InfiniteSampler never runs out, and {loop} waits for its end",
            "use DefaultSampler",
            fix("use DefaultSampler", replaced(node, "DefaultSampler"), safe=True),
        )


@rule("SCHED009", Severity.WARNING)
def restarted_epochs(facts: Facts) -> Iterator[Mark]:
    """A loop by iterations has a sampler that runs out.

    Why it matters: at the end of every pass over the data mmengine starts the workers anew and sleeps two seconds:
    slow, on small data sets most of the time.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=True))

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))

    Source: mmengine 0.10.7, runner/loops.py, `_InfiniteDataloaderIterator`.
    """
    train = facts.loader("train")
    sampler = train.node.get("sampler") if train is not None else None
    if sampler is not None and sampler.type == "DefaultSampler" and facts.schedule.by_epoch is False:
        node = sampler.get("type") or sampler
        yield Mark(
            node,
            "DefaultSampler runs out after each pass over the data: workers are started anew every time",
            "use InfiniteSampler",
            fix("use InfiniteSampler", replaced(node, "InfiniteSampler"), safe=True),
        )


@rule("SCHED010", Severity.ERROR)
def loop_named_twice(facts: Facts) -> Iterator[Mark]:
    """The training loop is named by `type` and by `by_epoch`, or by neither.

    Why it matters: mmengine takes one of the two and refuses both.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', by_epoch=False, max_iters=40000)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)

    Source: mmengine 0.10.7, runner/runner.py, `build_train_loop`.
    """
    loop = facts.schedule.loop
    if loop is None:
        return
    by_epoch = loop.get("by_epoch")
    if by_epoch is not None and "type" in loop.value:
        yield Mark(
            by_epoch,
            "train_cfg has type and by_epoch: mmengine takes one of them",
            "drop by_epoch",
            fix("drop by_epoch", removed(by_epoch), safe=True),
            at_key=True,
        )
    elif by_epoch is None and "type" not in loop.value and ("max_iters" in loop.value or "max_epochs" in loop.value):
        yield Mark(
            loop,
            "train_cfg names no loop",
            f"set type={'IterBasedTrainLoop' if 'max_iters' in loop.value else 'EpochBasedTrainLoop'!r}",
            missing="type",
        )


@rule("SCHED011", Severity.ERROR)
def incomplete_set(facts: Facts) -> Iterator[Mark]:
    """Training, validation or test is set up in part.

    Why it matters: the runner takes all three of a set, or none, and refuses anything else: data loader, loop and, for
    training, the optimizer wrapper, for validation and test the evaluator.

    Bad:
        model = dict()
        val_dataloader = dict(batch_size=1)
        val_cfg = dict(type='ValLoop')

    Good:
        model = dict()
        val_dataloader = dict(batch_size=1)
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])

    Known problems: a file without `model`, or without any loop, is taken for a base of others.

    Source: mmengine 0.10.7, runner/runner.py, `Runner.__init__`.
    """
    if facts.get("model") is None or not any(facts.section(f"{which}_cfg") for which in ("train", "val", "test")):
        return
    for names in PHASES.values():
        given = [node for name in names if (node := facts.get(name)) is not None and node.value is not None]
        lacking = [name for name in names if (node := facts.get(name)) is None or node.value is None]
        if given and lacking:
            wrong = next((node for name in lacking if (node := facts.get(name)) is not None), given[0])
            yield Mark(
                wrong,
                f"{' and '.join(node.name for node in given)} without {' and '.join(lacking)}",
                f"set {lacking[0]}, or none of the three",
                at_key=True,
            )


@rule("SCHED012", Severity.ERROR)
def checkpoint_counts_epochs(facts: Facts) -> Iterator[Mark]:
    """The checkpoint hook counts epochs, and the loop iterations.

    Why it matters: a loop by iterations has one endless epoch, so `interval` is never reached: there is one checkpoint,
    at the very end, and `best_..._epoch_0` says nothing about when. `by_epoch` is True unless said otherwise.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=4000))

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=4000, by_epoch=False))

    Known problems: a config without a checkpoint hook gets the runner's own, which counts epochs; that is reported in
    whole configs, with a model, data and default hooks.

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `after_train_epoch`, and runner/runner.py,
    `register_default_hooks`; mmsegmentation issue 2777.
    """
    if facts.schedule.by_epoch is not False:
        return
    default = facts.section("default_hooks")
    is_whole = facts.section("model") is not None and facts.section("train_dataloader") is not None
    if is_whole and default is not None and "checkpoint" not in default.value and not facts.checkpoints:
        yield Mark(
            default,
            "no checkpoint hook: the runner's own counts epochs, of which a loop by iterations has one",
            "name one, with by_epoch=False",
            missing="checkpoint",
        )
    for hook in facts.checkpoints:
        if facts.argument(hook, "by_epoch", "hook") is True:
            yield Mark(
                hook.get("by_epoch") or hook,
                f"{hook.type} counts epochs, of which a loop by iterations has one: nothing is saved before the end",
                "set by_epoch=False",
                fix("count iterations", put(hook, "by_epoch", False), safe=True),
            )


@rule("SCHED013", Severity.WARNING)
def log_counts_epochs(facts: Facts) -> Iterator[Mark]:
    """The log counts epochs, and the loop iterations.

    Why it matters: there is one epoch. With `log_metric_by_epoch=True` every validation is drawn at the same step.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        log_processor = dict(by_epoch=True)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        log_processor = dict(by_epoch=False)

    Known problems: reported only where the config says so itself.

    Source: mmengine 0.10.7, hooks/logger_hook.py, `after_val_epoch`; runner/log_processor.py.
    """
    if facts.schedule.by_epoch is not False:
        return
    for key in ("log_processor.by_epoch", "default_hooks.logger.log_metric_by_epoch"):
        node = facts.get(key)
        if node is not None and node.value is True:
            yield Mark(
                node,
                f"{node.name}=True, and the loop by iterations has one epoch",
                f"set {node.name}=False",
                fix("count iterations", replaced(node, False), safe=True),
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
