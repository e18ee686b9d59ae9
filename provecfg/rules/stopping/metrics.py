"""The metric that early stopping and checkpoints go by, and which way it is better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import better, guessed_rule, meant_key, names_directions
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, put, replaced
from provecfg.rules.rule import Mark, rule


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
    for hook, node, name in facts.monitored_metrics:
        if facts.may_give(name):
            continue
        key = meant_key(name, keys)
        fails = facts.value(hook, "strict", False) is True
        yield Mark(
            node,
            f"early stopping watches {name!r}, which no evaluator gives: "
            + ("the first validation fails" if fails else "training never stops early"),
            f"the metrics are {', '.join(sorted(keys)) or 'none'}",
            fix(f"watch {key!r}", replaced(node, key), safe=fails) if key is not None else None,
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
    for hook, metric, name in (*facts.monitored_metrics, *facts.best_metrics):
        if not facts.may_give(name):
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

    Known problems: a checkpoint hook that has `greater_keys` or `less_keys` of its own is left alone.

    Source: mmengine 0.10.7, hooks/early_stopping_hook.py, `_init_rule`.
    """
    for hook, node, name in (*facts.monitored_metrics, *facts.best_metrics):
        if facts.value(hook, "rule") is not None or names_directions(hook):
            continue
        guessed, right = guessed_rule(name), better(name)
        if guessed is None or (right is not None and guessed != right):
            guess = "cannot tell" if guessed is None else f"guesses {guessed!r}"
            yield Mark(
                node,
                f"mmengine {guess} whether more of {name!r} is better",
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
        for choice in list(node) if node is not None and node.is_list else [node]:
            if choice is not None and isinstance(choice.value, str) and choice.value not in ("greater", "less"):
                meant = _MEANT.get(choice.value.lower())
                yield Mark(
                    choice,
                    f"no rule {choice.value!r}",
                    f"write {meant!r}" if meant else "write 'greater' or 'less'",
                    fix(f"write {meant!r}", replaced(choice, meant), safe=True) if meant else None,
                )


_MEANT: Final = {"max": "greater", "higher": "greater", "min": "less", "lower": "less"}
