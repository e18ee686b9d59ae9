"""Intervals of hooks: what is saved and logged, by which clock."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import whole
from provecfg.findings import Severity
from provecfg.rules.edits import fix, put, replaced
from provecfg.rules.rule import Mark, rule


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
            saved = "nothing but the best" if facts.argument(hook, "save_best", "hook") else "nothing"
            yield Mark(
                hook.get("by_epoch") or hook,
                f"{hook.type} counts epochs, of which a loop by iterations has one: {saved} is saved before the end",
                "set by_epoch=False",
                fix("count iterations", put(hook, "by_epoch", False), safe=False),
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
                fix("count iterations", replaced(node, False), safe=False),
            )


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
        often = min(50, max(1, length // 10))
        yield Mark(interval, f"a line every {every} iterations, and the run has {length}", f"log every {often}, say")
