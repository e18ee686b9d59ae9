"""Early stopping: its threshold, its patience, and whether there is something to stop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import is_percentage
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.invariants import early_stopping_budget
from provecfg.rules.edits import fix, replaced
from provecfg.rules.rule import Mark, rule


@rule("STOP002", Severity.ERROR)
def threshold_as_fraction(facts: Facts) -> Iterator[Mark]:
    """The stopping threshold is a fraction, the metric a percentage.

    Why it matters: IoUMetric counts from 0 to 100. A threshold of 0.8 is reached at the first validation, and training
    stops there.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', stopping_threshold=0.8)]

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', stopping_threshold=80.0)]

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, `compute_metrics`.
    """
    for hook, _, name in facts.monitored_metrics:
        node = hook.get("stopping_threshold")
        value = number(node.value) if node is not None else None
        if node is None or value is None or not is_percentage(name, facts.val_evaluators):
            continue
        if 0 < value <= 1:
            yield Mark(
                node,
                f"stopping_threshold {value:g} of {name}, which counts to 100: the first validation ends the run",
                f"write {value * 100:g}",
                fix(f"write {value * 100:g}", replaced(node, round(value * 100, 6)), safe=False),
            )
        elif value > 100:
            yield Mark(
                node, f"stopping_threshold {value:g} of {name}, which is at most 100, is never reached", "lower it"
            )


_SMALLEST_POINTS: Final = 0.01
"""A hundredth of a percentage point: below the noise of any validation set."""
_LARGEST_POINTS: Final = 10.0


@rule("STOP003", Severity.WARNING)
def min_delta_off_scale(facts: Facts) -> Iterator[Mark]:
    """`min_delta` does not fit a metric that counts from 0 to 100.

    Why it matters: IoUMetric's values are percentages, and the hook's `min_delta` of 0.1 is a tenth of a point (its
    docstring says 0.01). 0.0005 counts noise as progress, so training never stops; 10 counts real progress as none.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', min_delta=0.0005)]

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', min_delta=0.1)]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py; mmdetection issue 12302.
    """
    for hook, _, name in facts.monitored_metrics:
        node = hook.get("min_delta")
        value = number(node.value) if node is not None else None
        if node is None or value is None or not is_percentage(name, facts.val_evaluators):
            continue
        if 0 < value <= _SMALLEST_POINTS:
            points = value * 100
            yield Mark(
                node,
                f"min_delta {value:g} of {name}, which counts from 0 to 100: {value:g} points are noise",
                f"write {points:g} for {points:g} points",
                fix(f"write {points:g}", replaced(node, round(points, 9)), safe=False),
            )
        elif value >= _LARGEST_POINTS:
            yield Mark(
                node,
                f"min_delta {value:g} of {name}: only a rise by {value:g} points in one validation counts as progress",
                "write 0.1 for a tenth of a point",
            )


@rule("STOP004", Severity.ERROR)
def negative_min_delta(facts: Facts) -> Iterator[Mark]:
    """`min_delta` is negative.

    Why it matters: a score that falls by less than that counts as progress, and becomes the best score. It can fall
    forever without stopping.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', min_delta=-0.1)]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', min_delta=0.1)]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `_check_stop_condition`.
    """
    for hook in facts.early_stopping:
        node = hook.get("min_delta")
        value = number(node.value) if node is not None else None
        if node is not None and value is not None and value < 0:
            yield Mark(
                node,
                f"min_delta {value:g} is negative: a falling score counts as progress",
                f"write {-value:g}; for a metric that should fall, rule='less' turns the sign by itself",
                fix(f"write {-value:g}", replaced(node, -value), safe=False),
            )


@rule("STOP008", Severity.ERROR)
def patience_outlasts_run(facts: Facts) -> Iterator[Mark]:
    """Early stopping cannot stop before the run is over.

    Why it matters: `patience` counts validations, not iterations or epochs. The first validation sets the best score,
    so the earliest stop is at validation patience + 1.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=8000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
        optim_wrapper = dict(type='OptimWrapper')
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=10)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=8000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
        optim_wrapper = dict(type='OptimWrapper')
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=4)]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `_check_stop_condition`.
    """
    schedule = facts.schedule
    when, length = schedule.validations, schedule.length
    if not when or length is None:
        return  # STOP010 where there is no validation at all
    for hook in facts.early_stopping:
        patience = facts.argument(hook, "patience", "hook")
        if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
            continue
        if len(when) > patience and when[patience] < length:
            continue
        problem = None
        if schedule.by_epoch is False and len(set(_steps(when))) == 1 and when[0] == schedule.val_interval:
            problem = early_stopping_budget(patience, when[0], length)
        most = max((index for index, at in enumerate(when) if at < length), default=0)
        yield Mark(
            hook.get("patience") or hook,
            problem or f"patience {patience} validations, and the run of {length} {schedule.unit}s has {len(when)}",
            f"set patience to {most} or less, or validate more often" if most > 0 else "validate more often",
        )


def _steps(when: tuple[int, ...]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(when)] or [when[0]]


@rule("STOP009", Severity.ERROR)
def patience_not_positive(facts: Facts) -> Iterator[Mark]:
    """`patience` is less than 1.

    Why it matters: it behaves as 1: the first validation without progress ends training.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=0)]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=5)]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `_check_stop_condition`.
    """
    for hook in facts.early_stopping:
        node = hook.get("patience")
        value = number(node.value) if node is not None else None
        if node is not None and value is not None and value < 1:
            yield Mark(node, f"patience {value:g} behaves as 1", "give the number of validations to wait")


@rule("STOP010", Severity.ERROR)
def early_stopping_without_validation(facts: Facts) -> Iterator[Mark]:
    """Early stopping without a validation to judge.

    Why it matters: the hook acts after validations only. Where there is none, or the first would be after the end of
    the run, training never stops early, without a word.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=4000, val_begin=50000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
        optim_wrapper = dict(type='OptimWrapper')
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=4000, val_begin=8000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
        optim_wrapper = dict(type='OptimWrapper')
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, runner/loops.py, `IterBasedTrainLoop.run`.
    """
    schedule = facts.schedule
    if schedule.loop is None or schedule.validations != ():
        return
    for hook in facts.early_stopping:
        begin = schedule.loop.get("val_begin")
        late = begin is not None and schedule.length is not None and (schedule.val_begin or 0) > schedule.length
        if late and begin is not None:
            yield Mark(
                begin,
                f"the first validation would be at {schedule.unit} {schedule.val_begin}, the run ends at "
                f"{schedule.length}: early stopping never sees one",
                "begin validating earlier",
            )
        elif not schedule.validates:
            yield Mark(
                hook,
                "early stopping, and the config sets up no validation",
                "set val_dataloader, val_evaluator and val_cfg",
            )
        else:
            yield Mark(
                schedule.loop.get("val_interval") or hook,
                f"no validation falls within the run of {schedule.length} {schedule.unit}s: early stopping never "
                "sees one",
                "validate more often",
            )


@rule("STOP011", Severity.WARNING)
def early_stopping_forgets(facts: Facts) -> Iterator[Mark]:
    """Early stopping starts anew when training resumes.

    Why it matters: mmengine's hook keeps best score and patience in memory only. After a resume, any score counts as
    the best: a run that should stop goes on for a whole patience.

    Bad:
        resume = True
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Good:
        resume = False
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `__init__`; mmengine pull request 739.
    """
    resume = facts.get("resume")
    if resume is None or resume.value is not True:
        return
    for hook in facts.early_stopping:
        if hook.type == "EarlyStoppingHook":
            yield Mark(
                resume,
                "resume=True, and EarlyStoppingHook forgets its best score and its patience",
                "use provecfg's ResumableEarlyStoppingHook, whose state is in the checkpoints",
            )
            return
