"""What evaluators measure."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import IOU_METRICS, evaluators_of
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names


@rule("DATA011", Severity.ERROR)
def unknown_iou_metric(facts: Facts) -> Iterator[Mark]:
    """IoUMetric does not know this metric.

    Why it matters: KeyError at the end of the first validation.

    Bad:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['IoU'])

    Good:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, `total_area_to_metrics`.
    """
    for key in ("val_evaluator", "test_evaluator"):
        for evaluator in evaluators_of(facts, key):
            node = evaluator.node.get("iou_metrics") if evaluator.kind == "IoUMetric" else None
            if node is None:
                continue
            metrics = list(node) if node.is_list else [node]
            named = {metric.value for metric in metrics if isinstance(metric.value, str)}
            for metric in metrics:
                if not isinstance(metric.value, str) or metric.value in IOU_METRICS or evaluator.adds(metric.value):
                    continue
                near = next(
                    (name for name in IOU_METRICS if metric.value.lower().lstrip("m") == name.lower()[1:]), None
                )
                near = near or next(iter(nearest_names(metric.value, IOU_METRICS, limit=1)), None)
                is_new = near is not None and near not in named  # one that is named already was not meant again
                named |= {near} if near is not None else set()
                yield Mark(
                    metric,
                    f"IoUMetric has no metric {metric.value!r}",
                    f"did you mean {near!r}?" if near else f"it has {', '.join(IOU_METRICS)}",
                    fix(f"write {near!r}", replaced(metric, near), safe=True) if is_new else None,
                )


@rule("DATA012", Severity.ERROR)
def evaluators_share_keys(facts: Facts) -> Iterator[Mark]:
    """Two evaluators give metrics of the same name.

    Why it matters: ValueError at the first validation, after hours of training. Every IoUMetric gives `aAcc`.

    Bad:
        val_evaluator = [
            dict(type='IoUMetric', iou_metrics=['mIoU']),
            dict(type='IoUMetric', iou_metrics=['mDice']),
        ]

    Good:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice'])

    Source: mmengine 0.10.7, evaluator/evaluator.py, `evaluate`.
    """
    for key in ("val_evaluator", "test_evaluator"):
        seen: dict[str, Node] = {}
        for evaluator in evaluators_of(facts, key):
            twice = [name for name in evaluator.keys or () if name in seen]
            if twice:
                yield Mark(
                    evaluator.node,
                    f"{twice[0]!r} is given by {seen[twice[0]].type} [{seen[twice[0]].name}] too",
                    "name all metrics in one IoUMetric, or give each a prefix",
                )
            for name in evaluator.keys or ():
                seen.setdefault(name, evaluator.node)
