"""Losses and numbers of heads that build, and train something else or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.rules.edits import fix, put, replaced
from provecfg.rules.rule import Mark, rule

_MASK_LOSSES: Final[tuple[tuple[str, str, bool, str], ...]] = (
    ("loss_cls", "use_sigmoid", False, "inference takes the softmax of the class scores"),
    ("loss_mask", "use_sigmoid", True, "a mask is a question of yes or no at each pixel"),
    ("loss_dice", "activate", True, "without it Dice compares raw scores with masks"),
)


@rule("HEAD026", Severity.ERROR)
def mask_loss_reads_other_scores(facts: Facts) -> Iterator[Mark]:
    """A set loss of a mask head reads the scores in another way than the head does.

    Why it matters: the head takes the softmax of its class scores and the sigmoid of its mask scores. A loss that takes
    the other one, or none, fails, or trains scores that inference does not read.

    Bad:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                num_classes=2,
                loss_cls=dict(
                    type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=2.0, class_weight=[1.0, 1.0, 0.1])))

    Good:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                num_classes=2,
                loss_cls=dict(
                    type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0, class_weight=[1.0, 1.0, 0.1])))

    Known problems: reported only where the config says so itself.

    Source: mmdet 3.3.0, models/dense_heads/mask2former_head.py, `_loss_by_feat_single`, and mmsegmentation 1.2.2,
    mask2former_head.py, `predict`.
    """
    for head in facts.heads:
        if not head.is_mask_head:
            continue
        for key, name, right, why in _MASK_LOSSES:
            node = head.node.dig(f"{key}.{name}")
            if node is not None and node.value is (not right):
                yield Mark(
                    node,
                    f"{key} has {name}={node.value}: {why}",
                    f"set {name}={right}",
                    fix(f"set {name}={right}", replaced(node, right), safe=False),
                )


@rule("HEAD027", Severity.ERROR)
def everything_dropped_out(facts: Facts) -> Iterator[Mark]:
    """The head drops out all of its features, or a share that there is not.

    Why it matters: at 1 the classifier sees zeros, learns one bias a class, and hands no gradient to the backbone;
    above it, torch refuses to build the layer. The ratio is a fraction, and not a percentage.

    Bad:
        model = dict(decode_head=dict(num_classes=2, dropout_ratio=1.0))

    Good:
        model = dict(decode_head=dict(num_classes=2, dropout_ratio=0.1))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `__init__`; torch 2.4, nn/modules/dropout.py.
    """
    for head in facts.heads:
        node = head.node.get("dropout_ratio")
        ratio = number(node.value) if node is not None else None
        if node is not None and ratio is not None and ratio >= 1:
            yield Mark(node, f"dropout_ratio is {ratio:g}, and a share below 1 is asked for", "0.1 is usual")


@rule("LOSS030", Severity.WARNING)
def sigmoids_beside_softmax(facts: Facts) -> Iterator[Mark]:
    """A cross-entropy takes sigmoids of the scores that another loss of the head takes the softmax of.

    Why it matters: one trains a distribution over the classes, the other each class by itself, on the same scores. What
    is best for one is not for the other, and inference reads the scores in one way only.

    Bad:
        model = dict(decode_head=dict(num_classes=4, loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True),
            dict(type='DiceLoss', use_sigmoid=False)]))

    Good:
        model = dict(decode_head=dict(num_classes=4, loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False),
            dict(type='DiceLoss', use_sigmoid=False)]))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `CrossEntropyLoss.__init__`; segmentors/base.py,
    `postprocess_result`.
    """
    for head in facts.heads:
        if head.out_channels is None or head.out_channels < 2:
            continue
        for loss in head.losses:
            if loss.kind != "CrossEntropyLoss" or loss.get("use_sigmoid") is not True:
                continue
            others = [other.kind for other in head.losses if other.is_softmax]
            if others:
                yield Mark(
                    loss.at("use_sigmoid"),
                    f"CrossEntropyLoss takes sigmoids of the scores that {others[0]} takes the softmax of",
                    "set use_sigmoid=False",
                    fix("take the softmax here too", put(loss.node, "use_sigmoid", False), safe=False),
                )


_AS_ITS_HEAD: Final = frozenset(
    {
        "BoundaryAwareFocalLoss",
        "DistanceBoundaryLoss",
        "MultiScaleLoss",
        "SegBoundaryLoss",
        "SegCrossEntropyLoss",
        "SegDiceLoss",
        "SegLovaszLoss",
        "SoftmaxFocalLoss",
    }
)


@rule("LOSS031", Severity.ERROR)
def ignored_label_disputed(facts: Facts) -> Iterator[Mark]:
    """The loss is told to ignore another label than its head, and refuses to.

    Why it matters: the losses of provecfg take the ignored label from their head; one of their own has to agree with
    it. Otherwise the first iteration fails.

    Bad:
        custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)
        model = dict(decode_head=dict(ignore_index=255, loss_decode=[
            dict(type='CrossEntropyLoss'),
            dict(type='SoftmaxFocalLoss', ignore_index=0, loss_name='loss_focal')]))

    Good:
        custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)
        model = dict(decode_head=dict(ignore_index=255, loss_decode=[
            dict(type='CrossEntropyLoss'),
            dict(type='SoftmaxFocalLoss', loss_name='loss_focal')]))

    Source: provecfg/plugin/losses/targets.py, `resolve_ignore_index`.
    """
    for head in facts.heads:
        of_head: Any = head.get("ignore_index")
        for loss in head.losses:
            node = loss.node.get("ignore_index")
            if loss.kind not in _AS_ITS_HEAD or node is None or loss.is_default:
                continue
            own = node.value
            if isinstance(own, int) and isinstance(of_head, int) and own != of_head:
                yield Mark(
                    node,
                    f"{loss.kind} is to ignore label {own}, and its head ignores {of_head}",
                    "leave it out: the head hands its own on",
                    fix(f"set ignore_index={of_head}", replaced(node, of_head), safe=True),
                )
