"""What heads predict and ignore, against the labels that the data has and the metric counts."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.rules.edits import fix, replaced
from provecfg.rules.rule import Mark, rule


@rule("HEAD006", Severity.ERROR)
def fewer_classes_than_dataset(facts: Facts) -> Iterator[Mark]:
    """The model has fewer classes than its dataset.

    Why it matters: labels that no channel stands for fail in a cross-entropy (a device-side assert on the GPU), as soon
    as an image has one.

    Bad:
        model = dict(decode_head=dict(num_classes=10))
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other') * 6)))

    Good:
        model = dict(decode_head=dict(num_classes=2))
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'))))

    Source: mmsegmentation issues 1553 and 2357.
    """
    yield from _against_dataset(facts, more=False)


def _against_dataset(facts: Facts, *, more: bool) -> Iterator[Mark]:
    head, train = facts.main_head, facts.loader("train")
    if head is None or head.num_classes is None or train is None:
        return
    counts = [dataset.classes if dataset.keeps_labels else None for dataset in train.datasets]
    known_counts = [count for count in counts if count is not None]
    if not counts or len(known_counts) != len(counts):
        return
    most, classes = max(known_counts), head.num_classes
    if not more and (not head.calls_losses_plainly or facts.is_unknown_to_release(head.node)):
        return  # heads that train on sets of masks map the labels themselves, and any other may
    if classes == most or (classes > most) is not more or (classes == 1 and most == 2):
        return
    if more and head.has_own_outputs:
        return
    node = head.at("num_classes")
    yield Mark(
        node,
        f"{classes} classes, the training data has {most}",
        f"set num_classes={most} in every head",
        fix(f"set num_classes={most}", replaced(node, most), safe=not more) if len(facts.heads) == 1 else None,
    )


@rule("HEAD007", Severity.WARNING)
def more_classes_than_dataset(facts: Facts) -> Iterator[Mark]:
    """The model has more classes than its dataset.

    Why it matters: the channels beyond it are trained to stay silent. After choosing a subset of a dataset's classes,
    `num_classes` is the number of the subset: the other labels become the ignored one.

    Bad:
        model = dict(decode_head=dict(num_classes=150))
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('wall', 'sky'))))

    Good:
        model = dict(decode_head=dict(num_classes=2))
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('wall', 'sky'))))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `get_label_map`.
    """
    yield from _against_dataset(facts, more=True)


@rule("HEAD021", Severity.ERROR)
def head_ignore_index_not_int(facts: Facts) -> Iterator[Mark]:
    """The head's ignored label is not a whole number.

    Why it matters: the head's docstring allows None, torch's cross-entropy does not: TypeError at the first iteration.

    Bad:
        model = dict(decode_head=dict(ignore_index=None, loss_decode=dict(type='CrossEntropyLoss')))

    Good:
        model = dict(decode_head=dict(ignore_index=255, loss_decode=dict(type='CrossEntropyLoss')))

    Source: torch.nn.functional.cross_entropy, `ignore_index`.
    """
    for head in facts.heads:
        node = head.node.get("ignore_index")
        if node is None or (isinstance(node.value, int) and not isinstance(node.value, bool)) or node.is_opaque:
            continue
        kinds = [loss.kind for loss in head.losses]
        if "CrossEntropyLoss" in kinds or (not kinds and not head.is_mask_head) or node.value is not None:
            yield Mark(
                node,
                f"ignore_index {node.value!r} is not a whole number: the loss fails",
                "use a label that no class has, such as 255",
                fix("ignore label 255", replaced(node, 255), safe=False),
            )


@rule("HEAD022", Severity.WARNING)
def heads_ignore_different_labels(facts: Facts) -> Iterator[Mark]:
    """Two heads ignore different labels.

    Why it matters: all heads see the same label maps. One of them trains what the other ignores.

    Bad:
        model = dict(decode_head=dict(ignore_index=255), auxiliary_head=dict(ignore_index=0))

    Good:
        model = dict(decode_head=dict(ignore_index=255), auxiliary_head=dict(ignore_index=255))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `loss_by_feat`.
    """
    main = next((head for head in reversed(facts.decode_heads)), None)
    ignored = main.get("ignore_index") if main is not None else None
    if main is None or not isinstance(ignored, int):
        return
    for head in facts.heads:
        own = head.get("ignore_index")
        if head is not main and isinstance(own, int) and own != ignored:
            yield Mark(
                head.at("ignore_index"),
                f"this head ignores label {own}, {main.node.key} ignores {ignored}",
                f"set ignore_index={ignored} in both",
            )


@rule("HEAD023", Severity.WARNING)
def metric_counts_ignored_label(facts: Facts) -> Iterator[Mark]:
    """The head ignores a class that the metric counts.

    Why it matters: the class is never trained, so its IoU is near zero and draws the mean down. IoUMetric ignores 255
    unless said otherwise, whatever the head ignores.

    Bad:
        model = dict(decode_head=dict(num_classes=4, ignore_index=0))
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')

    Good:
        model = dict(decode_head=dict(num_classes=4, ignore_index=255))
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
        val_dataloader = dict(sampler=dict(type='DefaultSampler'))
        val_cfg = dict(type='ValLoop')

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, `intersect_and_union`; mmsegmentation issue 3732.
    """
    main = next((head for head in reversed(facts.decode_heads)), None)
    ignored = main.get("ignore_index") if main is not None else None
    if main is None or not isinstance(ignored, int):
        return
    for evaluator in facts.val_evaluators:
        if evaluator.kind != "IoUMetric":
            continue
        counted = facts.value(evaluator.node, "ignore_index", 255)
        if isinstance(counted, int) and counted != ignored:
            yield Mark(
                main.at("ignore_index"),
                f"the head ignores label {ignored}, IoUMetric ignores {counted}",
                f"to leave a class out, let the dataset map it (reduce_zero_label) and keep 255; otherwise set "
                f"ignore_index={ignored} in the evaluators too",
            )
            return
