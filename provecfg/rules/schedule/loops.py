"""The loops of a run: when it validates, and how its epochs end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import whole
from provecfg.findings import Severity
from provecfg.invariants import validation_within_run
from provecfg.registry.layout import PHASES
from provecfg.rules.edits import fix, removed, replaced
from provecfg.rules.rule import Mark, rule

_NEVER: Final = 10_000_000
"""A `val_interval` that no run can have left over: mmsegmentation's own runs take at most 320,000 iterations."""


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
    if interval is not None and interval >= _NEVER and not _waits_for_validation(facts):
        return
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


def _waits_for_validation(facts: Facts) -> bool:
    """Whether something does its work after validations alone: early stopping, the best checkpoint, a plateau."""
    saves_best = any(facts.value(hook, "save_best") is not None for hook in facts.checkpoints)
    return bool(facts.early_stopping) or saves_best or any(each.acts_on_metric for each in facts.schedule.schedulers)


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
            fix("use DefaultSampler", replaced(node, "DefaultSampler"), safe=False),
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
            fix("use InfiniteSampler", replaced(node, "InfiniteSampler"), safe=False),
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
            fix("drop by_epoch", removed(by_epoch), safe=False),
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

    Known problems: a file without `model`, without any loop, or without any data is taken for a base of others.

    Source: mmengine 0.10.7, runner/runner.py, `Runner.__init__`.
    """
    has_loop = any(facts.section(f"{phase}_cfg") for phase in PHASES)
    if facts.get("model") is None or not has_loop or not facts.loaders:
        return
    for names in PHASES.values():
        present = [node for name in names if (node := facts.get(name)) is not None and node.value is not None]
        lacking = [name for name in names if (node := facts.get(name)) is None or node.value is None]
        if present and lacking:
            wrong = next((node for name in lacking if (node := facts.get(name)) is not None), present[0])
            yield Mark(
                wrong,
                f"{' and '.join(node.name for node in present)} without {' and '.join(lacking)}",
                f"set {lacking[0]}, or none of the three",
                at_key=True,
            )
