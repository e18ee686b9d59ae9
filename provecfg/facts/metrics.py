"""Evaluators, the keys that they will put into a validation's result, and which way each is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provecfg.facts.unknown import kind_of
from provecfg.mmconfig import Node

if TYPE_CHECKING:
    from provecfg.facts.facts import Facts

IOU_METRICS: Final = {
    # mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, total_area_to_metrics and compute_metrics
    "mIoU": ("mIoU", "mAcc"),
    "mDice": ("mDice", "mAcc"),
    "mFscore": ("mFscore", "mPrecision", "mRecall"),
}
IOU_KEYS: Final = ("aAcc", "mIoU", "mAcc", "mDice", "mFscore", "mPrecision", "mRecall")
"""All that IoUMetric can give, in percent, more is better."""

GREATER: Final = ("acc", "top", "AR@", "auc", "precision", "mAP", "mDice", "mIoU", "mAcc", "aAcc")
"""mmengine 0.10.7, hooks/early_stopping_hook.py and checkpoint_hook.py, `_default_greater_keys`."""
LESS: Final = ("loss",)


@dataclass(frozen=True)
class Evaluator:
    """One metric.

    Args:
        node: Its dict.
        kind: Its class's name; `IoUMetric` for provecfg's own that inherit from it, which give what it gives.
        prefix: What its keys start with, or None.
        keys: What it returns, prefix included, in order; None if not known.
    """

    node: Node
    kind: str
    prefix: str | None
    keys: tuple[str, ...] | None


def evaluators_of(facts: Facts, key: str) -> tuple[Evaluator, ...]:
    """The metrics of `val_evaluator` or `test_evaluator`."""
    node = facts.get(key)
    if node is None:
        return ()
    inner = node.get("metrics") if node.is_dict and node.type == "Evaluator" else None
    node = inner or node
    nodes = [node] if node.is_dict else list(node)
    return tuple(_evaluator(facts, one) for one in nodes)


def _evaluator(facts: Facts, node: Node) -> Evaluator:
    kind = kind_of(node.value.get("type")) if node.is_dict else ""
    known = facts.class_of(node, "metric")
    # A user's subclass may give anything.
    if known is not None and known.dotted.startswith("provecfg.") and known.is_a("IoUMetric"):
        kind = "IoUMetric"
    if kind != "IoUMetric":
        return Evaluator(node, kind, None, None)
    prefix = facts.value(node, "prefix")
    metrics = facts.value(node, "iou_metrics", ["mIoU"])
    metrics = [metrics] if isinstance(metrics, str) else metrics
    settled = (prefix is None or isinstance(prefix, str)) and isinstance(metrics, (list, tuple))
    if not settled or not all(isinstance(metric, str) for metric in metrics):
        return Evaluator(node, kind, None, None)
    if facts.value(node, "format_only", False) is True:
        return Evaluator(node, kind, prefix, ())
    keys = dict.fromkeys(["aAcc", *(key for metric in metrics for key in IOU_METRICS.get(metric, ()))])
    if any(metric not in IOU_METRICS for metric in metrics):
        return Evaluator(node, kind, prefix, None)
    return Evaluator(node, kind, prefix, tuple(f"{prefix}/{key}" if prefix else key for key in keys))


def guessed_rule(monitor: str) -> str | None:
    """What mmengine guesses where no `rule` is given; None where it refuses to (`_init_rule` of both hooks)."""
    lower = monitor.lower()
    greater, less = [key.lower() for key in GREATER], [key.lower() for key in LESS]
    if lower in greater:
        return "greater"
    if lower in less:
        return "less"
    if any(key in lower for key in greater):
        return "greater"
    return "less" if any(key in lower for key in less) else None


def better(metric: str) -> str | None:
    """Which way a metric is better, `greater` or `less`; None if its name does not tell."""
    name = metric.rpartition("/")[2]
    if name in IOU_KEYS:
        return "greater"
    lower = name.lower()
    if any(word in lower for word in ("loss", "rmse", "error", "abs_rel", "sq_rel", "silog")):
        return "less"
    if any(word in lower for word in ("acc", "iou", "dice", "fscore", "precision", "recall", "map", "psnr", "ssim")):
        return "greater"
    return None


def is_percentage(metric: str, evaluators: tuple[Evaluator, ...]) -> bool:
    """Whether the metric is one of IoUMetric's, which are percentages."""
    return any(evaluator.kind == "IoUMetric" and metric in (evaluator.keys or ()) for evaluator in evaluators)
