"""Schedulers that a metric steps: which metric, which way it is better, and on which clock."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import better, meant_key
from provecfg.facts.schedule import Scheduler
from provecfg.findings import Severity
from provecfg.rules.edits import fix, put, replaced
from provecfg.rules.rule import Mark, rule


def _plateaus(facts: Facts) -> Iterator[tuple[Scheduler, str]]:
    """The schedulers that validations step, each with the metric that it goes by."""
    for scheduler in facts.schedule.schedulers:
        monitor = facts.value(scheduler.node, "monitor", "loss")  # mmengine's default
        if scheduler.acts_on_metric and isinstance(monitor, str):
            yield scheduler, monitor


@rule("SCHED024", Severity.ERROR)
def plateau_of_no_metric(facts: Facts) -> Iterator[Mark]:
    """A plateau scheduler goes by a metric that no validation gives.

    Why it matters: KeyError at the end of the first validation. IoUMetric gives aAcc, mIoU and mAcc, and others only
    where `iou_metrics` names them, all behind its `prefix`. Losses are not among the metrics, and `monitor` is `loss`
    unless said otherwise.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='loss', rule='less')]

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')
        val_evaluator = dict(type='IoUMetric')
        param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater')]

    Known problems: silent where an evaluator is not IoUMetric.

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `ReduceOnPlateauParamScheduler.step`.
    """
    keys = facts.metric_keys
    if keys is None:
        return
    for scheduler, monitor in _plateaus(facts):
        if facts.may_give(monitor):
            continue
        node, key = scheduler.node.get("monitor"), meant_key(monitor, keys)
        yield Mark(
            node or scheduler.node,
            f"{scheduler.kind} goes by {monitor!r}, which no evaluator gives: the first validation fails",
            f"the metrics are {', '.join(sorted(keys)) or 'none'}",
            fix(f"go by {key!r}", replaced(node, key), safe=False) if node is not None and key is not None else None,
        )


@rule("SCHED025", Severity.ERROR)
def plateau_by_iterations(facts: Facts) -> Iterator[Mark]:
    """A plateau scheduler is to count iterations.

    Why it matters: validations step it, and it refuses `by_epoch=False` when it is built, whatever the loop counts.

    Bad:
        param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater', by_epoch=False)]

    Good:
        param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `ReduceOnPlateauParamScheduler.__init__`.
    """
    for scheduler, _ in _plateaus(facts):
        node = scheduler.node.get("by_epoch")
        if node is not None and node.value is False:
            yield Mark(
                node,
                f"{scheduler.kind} is stepped by validations, and refuses by_epoch=False",
                "write by_epoch=True, or leave it out",
                fix("write by_epoch=True", replaced(node, True), safe=False),
            )


@rule("SCHED026", Severity.ERROR)
def plateau_of_the_wrong_direction(facts: Facts) -> Iterator[Mark]:
    """A plateau scheduler takes progress for a plateau.

    Why it matters: `rule` is `less` unless said otherwise. Of a score that grows, every validation that is better than
    the last counts as a bad one: the rate is lowered while the model learns, and kept while it does not.

    Bad:
        param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIoU')]

    Good:
        param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, optim/scheduler/param_scheduler.py, `ReduceOnPlateauParamScheduler`.
    """
    for scheduler, monitor in _plateaus(facts):
        if not facts.may_give(monitor):
            continue  # SCHED024
        direction, right = facts.value(scheduler.node, "rule", "less"), better(monitor)
        if direction in ("greater", "less") and right is not None and direction != right:
            node = scheduler.node.get("rule")
            edit = put(scheduler.node, "rule", right) if node is None else replaced(node, right)
            yield Mark(
                node or scheduler.node,
                f"rule={direction!r} for {monitor}, of which {'more' if right == 'greater' else 'less'} is better",
                f"set rule={right!r}",
                fix(f"set rule={right!r}", edit, safe=False),
                missing="rule" if node is None else "",
            )
