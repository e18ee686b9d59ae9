"""Class weights: their number, their values, and what they do not go together with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.rules.edits import fix, removed
from provecfg.rules.rule import Mark, rule

_WEIGHTED: Final = ("CrossEntropyLoss", "FocalLoss", "TverskyLoss", "LovaszLoss", "HuasdorffDisstanceLoss")
"""mmseg's losses that take a weight for each class."""


@rule("LOSS010", Severity.ERROR)
def class_weight_length(facts: Facts) -> Iterator[Mark]:
    """There are not as many class weights as classes.

    Why it matters: a cross-entropy fails at the first iteration. FocalLoss, TverskyLoss and LovaszLoss take a list of
    one weight for all classes, or use the first weights of a list that is too long, without a word.

    Bad:
        model = dict(
            decode_head=dict(num_classes=4, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 1.0])))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 1.0, 1.0])))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, focal_loss.py.
    """
    for loss in facts.losses:
        if loss.kind not in _WEIGHTED and loss.plugin is None:
            continue
        weights, channels = loss.class_weight, loss.head.out_channels
        if weights is None or channels is None or len(weights) == channels:
            continue
        if loss.kind == "CrossEntropyLoss" and loss.is_softmax is not True:
            continue  # LOSS011
        yield Mark(
            loss.at("class_weight"),
            f"{len(weights)} class weights for {channels} channels",
            f"give {channels} weights, one for each class",
        )


@rule("LOSS011", Severity.ERROR)
def class_weight_of_sigmoids(facts: Facts) -> Iterator[Mark]:
    """Class weights of a cross-entropy of sigmoids meet the width of the image.

    Why it matters: they become `pos_weight` of torch's binary cross-entropy, which is broadcast from the last axis: the
    columns of the image, not the classes. Training fails at the first iteration, or, where image width and number of
    weights happen to agree, weights the columns.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[1.0, 2.0])))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `binary_cross_entropy`.
    """
    for loss in facts.losses_of("CrossEntropyLoss"):
        weights = loss.class_weight
        if weights is not None and len(weights) > 1 and loss.get("use_sigmoid") is True:
            yield Mark(
                loss.at("class_weight"),
                f"{len(weights)} class weights of a sigmoid cross-entropy are applied to the image's columns",
                "use the softmax (use_sigmoid=False), or one weight for all",
            )


@rule("LOSS012", Severity.ERROR)
def class_weight_with_avg_non_ignore(facts: Facts) -> Iterator[Mark]:
    """CrossEntropyLoss cannot have class weights and `avg_non_ignore` at once.

    Why it matters: it indexes the weights of the valid pixels, a flat list, by the map of ignored pixels, and fails
    with an IndexError at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0], avg_non_ignore=True)))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Known problems: upstream 1.2.2 fails only where labels hold the ignored one.

    Source: onedl-mmsegmentation 1.4.2, models/losses/cross_entropy_loss.py, `cross_entropy`.
    """
    for loss in facts.losses_of("CrossEntropyLoss"):
        weighted = isinstance(loss.get("class_weight"), (list, tuple, str))
        if weighted and loss.is_softmax and loss.get("avg_non_ignore") is True and loss.get("reduction") == "mean":
            node = loss.at("avg_non_ignore")
            yield Mark(
                node,
                "class_weight together with avg_non_ignore=True fails at the first iteration",
                "drop avg_non_ignore: the mean is then over the weights of the pixels",
                fix("drop avg_non_ignore", removed(node), safe=False) if node is not loss.node else None,
            )


@rule("LOSS014", Severity.ERROR)
def worthless_class_weights(facts: Facts) -> Iterator[Mark]:
    """All class weights are zero, or one is negative.

    Why it matters: with zeros the loss is 0 and trains nothing (an epsilon in the mean hides the 0/0); with a negative
    one training goes up that class's loss. Nothing refuses either.

    Bad:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.0, 0.0])))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Source: mmsegmentation 1.2.2, models/losses/utils.py, `weight_reduce_loss`.
    """
    for loss in facts.all_losses:
        weights = loss.class_weight
        if weights is not None and (not any(weights) or min(weights) < 0):
            message = "all class weights are 0: the loss trains nothing"
            if min(weights) < 0:
                message = f"class weight {min(weights):g} is negative: training goes up the loss of that class"
            yield Mark(loss.at("class_weight"), message, "give positive weights")


@rule("LOSS015", Severity.WARNING)
def class_without_weight(facts: Facts) -> Iterator[Mark]:
    """A class has weight zero and is never trained.

    Why it matters: its pixels cost nothing whatever is predicted there, and the metric counts them all the same.

    Bad:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.0, 1.0])))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.1, 1.0])))

    Source: torch.nn.functional.cross_entropy, `weight`.
    """
    for loss in facts.all_losses:
        weights = loss.class_weight
        if weights is not None and 0 in weights and any(weights) and min(weights) >= 0:
            without = ", ".join(str(index) for index, weight in enumerate(weights) if weight == 0)
            yield Mark(
                loss.at("class_weight"),
                f"class {without} has weight 0 and is never trained",
                "give it a small weight, or label its pixels with the ignored label",
            )


@rule("LOSS026", Severity.ERROR)
def huasdorff_class_weight(facts: Facts) -> Iterator[Mark]:
    """HuasdorffDisstanceLoss cannot use class weights.

    Why it matters: its assertion compares the number of dimensions of the weights, 1, with the number of classes, and
    fails at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='HuasdorffDisstanceLoss', class_weight=[1.0, 2.0]),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2, loss_decode=[dict(type='CrossEntropyLoss'), dict(type='HuasdorffDisstanceLoss')]))

    Source: mmsegmentation 1.2.2, models/losses/huasdorff_distance_loss.py, `hd_loss`.
    """
    for loss in facts.losses_of("HuasdorffDisstanceLoss"):
        if loss.values.get("class_weight") is not None:
            node = loss.at("class_weight")
            yield Mark(
                node,
                "class_weight of HuasdorffDisstanceLoss fails its own assertion at the first iteration",
                "leave it out",
                fix("drop class_weight", removed(node), safe=False),
            )
