"""Heads that are trained on sets of masks: the losses that they read, and provecfg's own head of that kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, removed, replaced
from provecfg.rules.rule import Mark, rule


@rule("HEAD008", Severity.ERROR)
def mask_class_weight_length(facts: Facts) -> Iterator[Mark]:
    """Class weights of a mask head need one more, for "no object".

    Why it matters: its classification loss has num_classes + 1 channels. A list of another length fails at the first
    iteration (a device-side assert on the GPU).

    Bad:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 0.1])))

    Good:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 1.0, 0.1])))

    Source: mmdetection 3.3.0, models/dense_heads/mask2former_head.py, `loss_by_feat`; mmsegmentation issue 3811.
    """
    for head in facts.heads:
        classes = head.num_classes
        weights = head.node.dig("loss_cls.class_weight")
        if not head.is_mask_head or classes is None or weights is None or not weights.is_list:
            continue
        if len(weights.value) != classes + 1:
            yield Mark(
                weights,
                f"{len(weights.value)} class weights for {classes} classes and 'no object'",
                f"give {classes + 1}: [1.0] * {classes} + [0.1]",
            )


@rule("HEAD009", Severity.ERROR)
def mask_class_weight_missing(facts: Facts) -> Iterator[Mark]:
    """The classification loss of a mask head has no class weights.

    Why it matters: the head reads `loss_cls.class_weight` when it is built, and fails where there is none.

    Bad:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss')))

    Good:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 1.0, 0.1])))

    Source: mmdetection 3.3.0, models/dense_heads/mask2former_head.py, `__init__`.
    """
    for head in facts.heads:
        loss = head.node.get("loss_cls")
        if head.is_mask_head and loss is not None and loss.is_dict and loss.value.get("class_weight") is None:
            info = facts.class_of(head.node)
            if info is None or not info.is_a("Mask2FormerHead"):
                continue
            classes = head.num_classes
            yield Mark(
                loss,
                "the head reads class_weight of loss_cls, and there is none",
                f"set class_weight=[1.0] * {classes or 'num_classes'} + [0.1]",
                missing="class_weight",
            )


@rule("HEAD025", Severity.ERROR)
def argument_of_pixel_loss_head(facts: Facts) -> Iterator[Mark]:
    """Mask2FormerPixelLossHead does not take this argument.

    Why it matters: TypeError when the head is built; mmseg's Mask2FormerHead takes such arguments and drops them. There
    is no `sampler`, since its losses are of all pixels.

    Bad:
        custom_imports = dict(imports=['provecfg.plugin'])
        model = dict(
            decode_head=dict(
                type='Mask2FormerPixelLossHead', num_classes=19, loss_decode=[], sampler=dict(type='OHEMPixelSampler')))

    Good:
        custom_imports = dict(imports=['provecfg.plugin'])
        model = dict(decode_head=dict(type='Mask2FormerPixelLossHead', num_classes=19, loss_decode=[]))

    Source: provecfg.plugin.heads.mask2former_pixel_loss_head.
    """
    native = facts.registry.find("Mask2FormerHead", "model")
    if native is None:
        return
    for head in facts.heads:
        if not head.adds_pixel_losses:
            continue
        for key in head.node.value:
            if key not in native.parameters and key not in ("type", "_scope_", "loss_decode", "strides"):
                node = Node(head.node.value[key], head.node, key)
                near = native.nearest(key)
                hint = f"did you mean {near[0]!r}?" if near else "leave it out"
                repair = fix(f"drop {key!r}", removed(node), safe=False)
                yield Mark(node, f"{head.kind} does not take {key!r}", hint, repair, at_key=True)


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
