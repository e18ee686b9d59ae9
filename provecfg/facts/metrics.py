"""Evaluators, the keys that they will put into a validation's result, and which way each is better."""

from __future__ import annotations

from typing import Final, NamedTuple

from provecfg.facts.lookup import Lookup, entries, kind_of
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.spelling import nearest_names

IOU_METRICS: Final = {
    # mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, total_area_to_metrics and compute_metrics
    "mIoU": ("mIoU", "mAcc"),
    "mDice": ("mDice", "mAcc"),
    "mFscore": ("mFscore", "mPrecision", "mRecall"),
}
IOU_KEYS: Final = ("aAcc", "mIoU", "mAcc", "mDice", "mFscore", "mPrecision", "mRecall")
"""All that IoUMetric can give, in percent, more is better."""
_IN_EVERY_COPY: Final = frozenset({*IOU_METRICS, *IOU_KEYS, *(key[1:] for key in IOU_KEYS)})
"""What the body of IoUMetric names, and a fork's copy of it, too: it tells nothing of what a fork adds."""

GREATER: Final = ("acc", "top", "AR@", "auc", "precision", "mAP", "mDice", "mIoU", "mAcc", "aAcc")
"""mmengine 0.10.7, hooks/early_stopping_hook.py and checkpoint_hook.py, `_default_greater_keys`."""
LESS: Final = ("loss",)


class Evaluator(NamedTuple):
    """One metric.

    Args:
        node: Its dict.
        kind: Its class's name; `IoUMetric` for provecfg's own that inherit from it, which give what it gives.
        prefix: What its keys start with, or None.
        keys: What it returns, prefix included, in order; None if not known. Of a fork's IoUMetric, what the release's
            does.
        own: Its class, if that is the user's.
    """

    node: Node
    kind: str
    prefix: str | None
    keys: tuple[str, ...] | None
    own: ClassInfo | None = None

    def adds(self, metric: str) -> bool:
        """Whether its class is the user's, and names a metric that the release's does not know."""
        return self.own is not None and metric not in _IN_EVERY_COPY and self.own.names_text(metric)

    def may_give(self, key: str) -> bool:
        """Whether a key that is not among its keys may be one that the user's class adds."""
        prefix = f"{self.prefix}/" if self.prefix else ""
        if not key.startswith(prefix):
            return False
        name = key.removeprefix(prefix)
        head, _, tail = name.partition("_")
        parts = (f"{head}_", f"_{tail}", f"_{name.rpartition('_')[2]}")  # "_IoU" of each class's name
        return any(map(self.adds, (name, *parts) if head and tail else (name,)))


def evaluators_of(config: Lookup, key: str) -> tuple[Evaluator, ...]:
    """The metrics of `val_evaluator` or `test_evaluator`."""
    node = config.get(key)
    if node is not None and node.is_dict and node.type == "Evaluator":
        node = node.get("metrics") or node
    return tuple(_evaluator(config, metric) for metric in entries(node))


def keys_of(evaluators: tuple[Evaluator, ...]) -> frozenset[str] | None:
    """The keys that a validation's result will have, or None where one evaluator's are not known, or there is none."""
    keys: frozenset[str] = frozenset()
    if not evaluators:
        return None
    for evaluator in evaluators:
        if evaluator.keys is None:
            return None
        keys |= frozenset(evaluator.keys)
    return keys


def _evaluator(config: Lookup, node: Node) -> Evaluator:
    kind = kind_of(node.value.get("type")) if node.is_dict else ""
    known = config.class_of(node, "metric")
    own = known if known is not None and known.is_of_user else None
    # A user's subclass may give anything.
    if known is not None and known.dotted.startswith("provecfg.") and known.is_a("IoUMetric"):
        kind = "IoUMetric"
    if kind != "IoUMetric":
        return Evaluator(node, kind, None, None)
    prefix = config.value(node, "prefix")
    metrics = config.value(node, "iou_metrics", ["mIoU"])
    metrics = [metrics] if isinstance(metrics, str) else metrics
    settled = (prefix is None or isinstance(prefix, str)) and isinstance(metrics, (list, tuple))
    if not settled or not all(isinstance(metric, str) for metric in metrics):
        return Evaluator(node, kind, None, None, own)
    if config.value(node, "format_only", False) is True:
        return Evaluator(node, kind, prefix, (), own)
    keys = dict.fromkeys(["aAcc", *(key for metric in metrics for key in IOU_METRICS.get(metric, ()))])
    if any(metric not in IOU_METRICS for metric in metrics):
        return Evaluator(node, kind, prefix, None, own)
    return Evaluator(node, kind, prefix, tuple(f"{prefix}/{key}" if prefix else key for key in keys), own)


def meant_key(name: str, keys: frozenset[str]) -> str | None:
    """The key that a name means: the same metric under another prefix, or one that is spelt alike."""
    metric = name.rpartition("/")[2].lower()
    same = [key for key in keys if key.rpartition("/")[2].lower() == metric]
    if len(same) == 1:
        return same[0]
    near = nearest_names(name, keys, limit=1)
    return near[0] if near and not same else None


def names_directions(hook: Node) -> bool:
    """Whether a hook says by `greater_keys` or `less_keys` which metrics are better which way."""
    return any((node := hook.get(key)) is not None and node.value is not None for key in ("greater_keys", "less_keys"))


def guessed_rule(monitor: str) -> str | None:
    """What mmengine guesses where a hook has no `rule` and no keys of its own; None where it refuses to (`_init_rule`
    of both hooks).
    """
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
