"""Early stopping and the best checkpoint, against the evaluators and the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import better, guessed_rule, is_percentage
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.invariants import early_stopping_budget
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, put, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names

_SMALLEST_POINTS: Final = 0.01
"""A hundredth of a percentage point: below the noise of any validation set."""
_LARGEST_POINTS: Final = 10.0


def _monitored(facts: Facts) -> Iterator[tuple[Node, Node, str]]:
    """Early-stopping hooks, the node of the metric they watch, and its name."""
    for hook in facts.early_stopping:
        monitor = hook.get("monitor")
        if monitor is not None and isinstance(monitor.value, str):
            yield hook, monitor, monitor.value


def _saved(facts: Facts) -> Iterator[tuple[Node, Node, str]]:
    """Checkpoint hooks, the node of each metric whose best they save, and its name; `auto` left out."""
    for hook in facts.checkpoints:
        node = hook.get("save_best")
        if node is None:
            continue
        for one in list(node) if node.is_list else [node]:
            if isinstance(one.value, str) and one.value != "auto":
                yield hook, one, one.value


def _meant(name: str, keys: frozenset[str]) -> str | None:
    """The key that a name means: the same metric under another prefix, or one that is spelt alike."""
    last = name.rpartition("/")[2].lower()
    same = [key for key in keys if key.rpartition("/")[2].lower() == last]
    if len(same) == 1:
        return same[0]
    near = nearest_names(name, keys, limit=1)
    return near[0] if near and not same else None


def _shown(keys: frozenset[str]) -> str:
    return ", ".join(sorted(keys)) or "none"


@rule("STOP001", Severity.ERROR)
def monitor_is_no_metric(facts: Facts) -> Iterator[Mark]:
    """Early stopping watches a metric that no validation gives.

    Why it matters: with `strict=False`, the default, the hook warns once a validation and never stops; with
    `strict=True` the first validation ends the run. IoUMetric gives aAcc, mIoU and mAcc, and others only where
    `iou_metrics` names them, all behind its `prefix`. Losses are not among the metrics.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='val/mIoU', rule='greater')]

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], prefix='val')
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='val/mIoU', rule='greater')]

    Known problems: silent where an evaluator is not IoUMetric.

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `after_val_epoch`; mmsegmentation issue 3063.
    """
    keys = facts.metric_keys
    if keys is None:
        return
    for hook, node, name in _monitored(facts):
        if name in keys:
            continue
        fails = facts.value(hook, "strict", False) is True
        yield Mark(
            node,
            f"early stopping watches {name!r}, which no evaluator gives: "
            + ("the first validation fails" if fails else "training never stops early"),
            f"the metrics are {_shown(keys)}",
            _other_metric(facts, node, name, keys, safe=fails),
        )


def _other_metric(facts: Facts, node: Node, name: str, keys: frozenset[str], *, safe: bool) -> Any:
    meant = _meant(name, keys)
    return fix(f"watch {meant!r}", replaced(node, meant), safe=safe) if meant is not None else None


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
    for hook, _, name in _monitored(facts):
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
    for hook, _, name in _monitored(facts):
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


@rule("STOP005", Severity.ERROR)
def wrong_direction(facts: Facts) -> Iterator[Mark]:
    """The rule says that less is better, and more is (or the other way round).

    Why it matters: early stopping ends a good run while its score rises; the checkpoint hook keeps the worst checkpoint
    as the best.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='less')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py and checkpoint_hook.py.
    """
    for hook, metric, name in (*_monitored(facts), *_saved(facts)):
        if facts.metric_keys is not None and name not in facts.metric_keys:
            continue  # STOP001, STOP013
        node, right = _rule_of(hook, metric), better(name)
        if node is not None and node.value in ("greater", "less") and right is not None and node.value != right:
            yield Mark(
                node,
                f"rule={node.value!r} for {name}, of which {'more' if right == 'greater' else 'less'} is better",
                f"set rule={right!r}",
                fix(f"set rule={right!r}", replaced(node, right), safe=False),
            )


def _rule_of(hook: Node, metric: Node) -> Node | None:
    """The rule that goes with a metric: one for all, or that of its place in a list."""
    node = hook.get("rule")
    if node is None or not node.is_list:
        return node
    return node.get(0) if len(node.value) == 1 else node.get(metric.step if isinstance(metric.step, int) else 0)


@rule("STOP006", Severity.ERROR)
def direction_not_guessed(facts: Facts) -> Iterator[Mark]:
    """Without `rule`, mmengine cannot tell or guesses wrongly whether more of the metric is better.

    Why it matters: it looks for parts of known names. `mFscore` has none: ValueError when training starts.
    `loss_topology` contains "top", and so counts as a score.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mFscore')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mFscore', rule='greater')]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `_init_rule`.
    """
    for hook, node, name in (*_monitored(facts), *_saved(facts)):
        if facts.value(hook, "rule") is not None:
            continue
        guessed, right = guessed_rule(name), better(name)
        if guessed is None or (right is not None and guessed != right):
            said = "cannot tell" if guessed is None else f"guesses {guessed!r}"
            yield Mark(
                node,
                f"mmengine {said} whether more of {name!r} is better",
                f"set rule={right or 'greater'!r}" + ("" if right else ", or 'less'"),
                fix(f"set rule={right!r}", put(hook, "rule", right), safe=guessed is None) if right else None,
            )


@rule("STOP007", Severity.ERROR)
def unknown_direction(facts: Facts) -> Iterator[Mark]:
    """The rule is neither 'greater' nor 'less'.

    Why it matters: mmengine refuses it when training starts.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='max')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, checkpoint_hook.py.
    """
    for hook in (*facts.early_stopping, *facts.checkpoints):
        node = hook.get("rule")
        for one in list(node) if node is not None and node.is_list else [node]:
            if one is not None and isinstance(one.value, str) and one.value not in ("greater", "less"):
                meant = {"max": "greater", "higher": "greater", "min": "less", "lower": "less"}.get(one.value.lower())
                yield Mark(
                    one,
                    f"no rule {one.value!r}",
                    f"write {meant!r}" if meant else "write 'greater' or 'less'",
                    fix(f"write {meant!r}", replaced(one, meant), safe=True) if meant else None,
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


@rule("STOP012", Severity.WARNING)
def best_is_first_metric(facts: Facts) -> Iterator[Mark]:
    """`save_best='auto'` means the first metric, which is pixel accuracy.

    Why it matters: the first key of IoUMetric is aAcc. The best checkpoint is not the one of the best mIoU.

    Bad:
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='auto'))

    Good:
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='mIoU'))

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `_save_best_checkpoint`.
    """
    for hook in facts.checkpoints:
        node = hook.get("save_best")
        node = node.get(0) if node is not None and node.is_list and node.value == ["auto"] else node
        if node is None or node.value != "auto":
            continue
        evaluators = facts.val_evaluators
        if evaluators and evaluators[0].kind != "IoUMetric":
            continue
        keys = evaluators[0].keys if evaluators else None
        miou = next((key for key in keys or () if key.endswith("mIoU")), None)
        yield Mark(
            node,
            f"save_best='auto' saves the best {keys[0] if keys else 'aAcc'}, the first metric",
            f"name the metric: save_best={miou or 'mIoU'!r}",
            fix(f"save the best {miou}", replaced(node, miou), safe=False) if miou else None,
        )


@rule("STOP013", Severity.ERROR)
def best_is_no_metric(facts: Facts) -> Iterator[Mark]:
    """The best checkpoint is chosen by a metric that no validation gives.

    Why it matters: KeyError at the first validation, after hours of training. IoUMetric gives aAcc, mIoU and mAcc, and
    others only where `iou_metrics` names them, all behind its `prefix`.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='val/mIoU'))

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='mIoU'))

    Known problems: silent where an evaluator is not IoUMetric.

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `_save_best_checkpoint`; mmsegmentation issue 2793.
    """
    keys = facts.metric_keys
    if keys is None:
        return
    for _, node, name in _saved(facts):
        if name not in keys:
            yield Mark(
                node,
                f"save_best={name!r}, which no evaluator gives: KeyError at the first validation",
                f"the metrics are {_shown(keys)}",
                _other_metric(facts, node, name, keys, safe=True),
            )


@rule("STOP014", Severity.WARNING)
def best_without_validation(facts: Facts) -> Iterator[Mark]:
    """The best checkpoint is asked for, and nothing is validated.

    Why it matters: it is saved after a validation only; there will be none, without a word.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
        optim_wrapper = dict(type='OptimWrapper')
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='mIoU'))

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
        optim_wrapper = dict(type='OptimWrapper')
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False))

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `after_val_epoch`.
    """
    if facts.schedule.loop is None or facts.schedule.validates or facts.loader("train") is None:
        return
    for hook in facts.checkpoints:
        node = hook.get("save_best")
        if node is not None and node.value is not None:
            yield Mark(
                node,
                "save_best, and the config sets up no validation",
                "set val_dataloader, val_evaluator and val_cfg",
            )


@rule("STOP015", Severity.ERROR)
def best_rules_count(facts: Facts) -> Iterator[Mark]:
    """There are several rules, and another number of metrics.

    Why it matters: the hook asserts one rule for all, or one for each metric of `save_best`.

    Bad:
        default_hooks = dict(checkpoint=dict(
            type='CheckpointHook', by_epoch=False, save_best='mIoU', rule=['greater', 'greater']))

    Good:
        default_hooks = dict(checkpoint=dict(
            type='CheckpointHook', by_epoch=False, save_best=['mIoU', 'mAcc'], rule=['greater', 'greater']))

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `__init__`.
    """
    for hook in facts.checkpoints:
        rules, best = hook.get("rule"), hook.get("save_best")
        if rules is None or not rules.is_list or best is None or not isinstance(best.value, (str, list, tuple)):
            continue
        metrics = 1 if isinstance(best.value, str) else len(best.value)
        if len(rules.value) not in (1, metrics):
            yield Mark(rules, f"{len(rules.value)} rules for {metrics} metrics", "give one for all, or one for each")


@rule("STOP016", Severity.WARNING)
def best_overwritten(facts: Facts) -> Iterator[Mark]:
    """Early stopping waits for longer than checkpoints are kept, and none is kept as the best.

    Why it matters: when it stops, the best validation lies `patience` validations back. With fewer checkpoints kept
    than that, and no `save_best`, the weights that it waited for are deleted.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=4000)
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        val_dataloader = dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
        default_hooks = dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4000, max_keep_ckpts=3))
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=5)]

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=4000)
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        val_dataloader = dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
        default_hooks = dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=False, interval=4000, max_keep_ckpts=3, save_best='mIoU'))
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=5)]

    Known problems: judged where there is one checkpoint hook, and it saves as often as is validated.

    Source: mmengine 0.10.7, hooks/checkpoint_hook.py, `_save_checkpoint_with_step`.
    """
    hooks = facts.checkpoints
    if len(hooks) != 1 or facts.value(hooks[0], "save_best") is not None:
        return
    kept, interval = number(facts.value(hooks[0], "max_keep_ckpts", -1)), facts.value(hooks[0], "interval")
    if kept is None or kept < 1 or interval != facts.schedule.val_interval:
        return
    for hook in facts.early_stopping:
        patience = number(facts.argument(hook, "patience", "hook"))
        if patience is not None and kept <= patience:
            yield Mark(
                hooks[0],
                f"{kept:g} checkpoints are kept, and the best is {patience:g} validations old when training stops",
                "name the metric in save_best",
                missing="save_best",
            )
