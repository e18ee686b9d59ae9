"""The best checkpoint: by which metric it is chosen, and whether it is kept."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import meant_key
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.rules.edits import fix, replaced
from provecfg.rules.rule import Mark, rule


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
    for _, node, name in facts.best_metrics:
        if not facts.may_give(name):
            key = meant_key(name, keys)
            yield Mark(
                node,
                f"save_best={name!r}, which no evaluator gives: KeyError at the first validation",
                f"the metrics are {', '.join(sorted(keys)) or 'none'}",
                fix(f"watch {key!r}", replaced(node, key), safe=True) if key is not None else None,
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
