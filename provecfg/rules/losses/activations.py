"""Softmax or sigmoid: what a loss makes of a head's channels, alone and beside other losses."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.rules.edits import argument_set, fix, put
from provecfg.rules.rule import Mark, rule


@rule("LOSS003", Severity.ERROR)
def dice_of_one_channel(facts: Facts) -> Iterator[Mark]:
    """DiceLoss on a head of one channel rewards the background.

    Why it matters: it makes one-hot labels with as many channels as the prediction has and keeps channel 0, which is
    the background. The one channel of a binary head means the foreground: Dice pulls it towards the inverse of what a
    binary cross-entropy beside it asks for. A right mask costs 0.99995, an inverted one 0.00003.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                out_channels=1,
                loss_decode=[
                    dict(type='CrossEntropyLoss', use_sigmoid=True),
                    dict(type='DiceLoss'),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2,
                out_channels=1,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py, `_expand_onehot_labels_dice`.
    """
    for loss in facts.losses_of("DiceLoss"):
        if loss.head.out_channels == 1:
            yield Mark(
                loss.at("type"),
                "DiceLoss takes the one channel of this head for the background and trains its inverse",
                "predict two channels (num_classes=2, no out_channels) with use_sigmoid=False, or drop the Dice loss",
            )


@rule("LOSS005", Severity.WARNING)
def dice_of_sigmoids(facts: Facts) -> Iterator[Mark]:
    """DiceLoss takes sigmoids of the scores that another loss of the head takes the softmax of.

    Why it matters: `use_sigmoid` is True unless said otherwise. The cross-entropy trains one distribution over the
    classes, Dice trains each class by itself on the same scores, and the prediction is their arg max.

    Bad:
        model = dict(
            decode_head=dict(num_classes=4, loss_decode=[dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4,
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='DiceLoss', use_sigmoid=False)]))

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py, `DiceLoss.__init__`.
    """
    for loss in facts.losses_of("DiceLoss"):
        head = loss.head
        if head.out_channels == 1 or loss.is_softmax is not False or loss.get("activate") is False:
            continue
        others = [other.kind for other in head.losses if other.is_softmax]
        if others:
            yield Mark(
                loss.at("use_sigmoid"),
                f"DiceLoss takes sigmoids of the scores that {others[0]} takes the softmax of",
                "set use_sigmoid=False",
                argument_set(loss, "use_sigmoid", False, "take the softmax here too", safe=False),
            )


@rule("LOSS016", Severity.ERROR)
def softmax_of_one_channel(facts: Facts) -> Iterator[Mark]:
    """A loss takes the softmax over one channel.

    Why it matters: the softmax of one number is 1. The loss is constant and trains nothing (a cross-entropy shows loss
    0 and accuracy 100), and fails as soon as a label is 1.

    Bad:
        model = dict(decode_head=dict(num_classes=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, lovasz_loss.py; mmsegmentation issue 2201.
    """
    argument = {"CrossEntropyLoss": "use_sigmoid", "LovaszLoss": "loss_type"}
    for loss in facts.losses:
        if loss.head.out_channels != 1 or loss.kind == "DiceLoss" or not loss.is_softmax:
            continue
        hint = {
            "CrossEntropyLoss": "set use_sigmoid=True, or predict two channels",
            "LovaszLoss": "set loss_type='binary', or predict two channels",
        }.get(loss.kind, "predict two channels (num_classes=2, no out_channels)")
        repair = None
        if loss.kind == "CrossEntropyLoss" and loss.class_weight is None:
            repair = argument_set(loss, "use_sigmoid", True, "take the sigmoid", safe=False)
        elif loss.kind == "LovaszLoss":
            repair = argument_set(loss, "loss_type", "binary", "use the binary Lovasz hinge", safe=False)
        yield Mark(
            loss.at(argument.get(loss.kind, "type")) if not loss.is_default else loss.node,
            f"{loss.kind} takes the softmax over the head's one channel, which is always 1",
            hint,
            repair,
        )


@rule("LOSS017", Severity.ERROR)
def binary_lovasz_of_many_channels(facts: Facts) -> Iterator[Mark]:
    """The binary Lovasz hinge gets a prediction of several channels.

    Why it matters: it compares the flattened scores with the flattened labels, which are fewer, and fails at the first
    iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=4, loss_decode=dict(type='LovaszLoss', loss_type='binary', per_image=True)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4, loss_decode=dict(type='LovaszLoss', loss_type='multi_class', per_image=True)))

    Source: mmsegmentation 1.2.2, models/losses/lovasz_loss.py, `lovasz_hinge`.
    """
    for loss in facts.losses_of("LovaszLoss"):
        channels = loss.head.out_channels
        if loss.is_softmax is False and channels is not None and channels > 1:
            yield Mark(
                loss.at("loss_type"),
                f"the binary Lovasz hinge on a head of {channels} channels",
                "set loss_type='multi_class'",
                argument_set(loss, "loss_type", "multi_class", "use the multi-class Lovasz loss", safe=False),
            )


@rule("LOSS022", Severity.ERROR)
def softmax_focal_loss(facts: Facts) -> Iterator[Mark]:
    """FocalLoss works on sigmoids only.

    Why it matters: `use_sigmoid=False` fails an assertion when the model is built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', use_sigmoid=False)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/focal_loss.py, `FocalLoss.__init__`.
    """
    for loss in facts.all_losses_of("FocalLoss"):
        node = loss.at("use_sigmoid")
        if "use_sigmoid" in loss.values and loss.get("use_sigmoid") is not True and node.value in (False, 0, None):
            yield Mark(
                node,
                "FocalLoss knows sigmoids only, not the softmax",
                "set use_sigmoid=True, or use provecfg's SoftmaxFocalLoss",
                argument_set(loss, "use_sigmoid", True, "use sigmoids", safe=False),
            )


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
