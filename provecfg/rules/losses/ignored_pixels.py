"""Ignored pixels: which label a loss leaves out, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.model import Head
from provecfg.findings import Severity
from provecfg.rules.edits import argument_set, fix, replaced
from provecfg.rules.rule import Mark, rule


@rule("LOSS004", Severity.WARNING)
def dice_counts_ignored_pixels(facts: Facts) -> Iterator[Mark]:
    """DiceLoss is the head's only loss, and it does not leave out ignored pixels.

    Why it matters: pixels of `ignore_index` (padding, void labels) get an all-zero label and still count in the
    denominator: a prediction that is perfect on all valid pixels of a half-ignored image costs 0.33 instead of 0, and
    the cheapest way to lower it is to predict no class there. A label that is out of range is taken for void, too.

    Bad:
        model = dict(
            decode_head=dict(num_classes=4, ignore_index=255, loss_decode=dict(type='DiceLoss', use_sigmoid=False)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4,
                ignore_index=255,
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='DiceLoss', use_sigmoid=False),
                ]))

    Known problems: data without a single ignored or padded pixel trains as it should.

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py, `dice_loss`.
    """
    for head in facts.heads:
        kinds = [loss.kind for loss in head.losses]
        if kinds and set(kinds) == {"DiceLoss"} and head.out_channels != 1:
            yield Mark(
                head.losses[0].node,
                "DiceLoss alone: ignored pixels count in its denominator, and nothing else trains this head",
                "put a cross-entropy beside it",
            )


_OWN_IGNORE: Final = {
    # mmsegmentation 1.2.2, models/losses: losses that do not take the head's value
    "DiceLoss": "ignore_index",
    "TverskyLoss": "ignore_index",
    "HuasdorffDisstanceLoss": "ignore_index",
    "OhemCrossEntropy": "ignore_label",
}


def _is_a_class(head: Head, *labels: Any) -> bool:
    """Whether one of the labels is an output channel of the head, as far as that is known."""
    channels = head.out_channels
    return channels is not None and any(isinstance(label, int) and 0 <= label < channels for label in labels)


@rule("LOSS006", Severity.ERROR)
def own_ignore_index(facts: Facts) -> Iterator[Mark]:
    """The loss ignores another label than its head.

    Why it matters: DiceLoss, TverskyLoss and HuasdorffDisstanceLoss take an `ignore_index` of their own, 255 unless
    said otherwise, and drop the one that the head hands them. The head's ignored label is then trained on as a class.
    DiceLoss leaves out every label that is no class by itself: its own matters where one of the two is a class.

    Bad:
        model = dict(
            decode_head=dict(
                ignore_index=254,
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='TverskyLoss')]))

    Good:
        model = dict(
            decode_head=dict(
                ignore_index=254,
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='TverskyLoss', ignore_index=254)]))

    Source: mmsegmentation 1.2.2, models/losses/tversky_loss.py and dice_loss.py, `forward`.
    """
    for loss in facts.all_losses:
        name = _OWN_IGNORE.get(loss.kind)
        if name is None:
            continue
        own, heads = loss.get(name), loss.head.get("ignore_index")
        if loss.kind == "DiceLoss" and not _is_a_class(loss.head, own, heads):
            continue
        if isinstance(heads, int) and isinstance(own, int) and own != heads:
            yield Mark(
                loss.at(name),
                f"{loss.kind} ignores label {own}, its head ignores {heads}; the head's value does not reach it",
                f"set {name}={heads} on the loss",
                argument_set(loss, name, heads, f"ignore label {heads} here too", safe=False),
            )


@rule("LOSS013", Severity.WARNING)
def class_weight_meets_ignored(facts: Facts) -> Iterator[Mark]:
    """In this release, class weights are looked up for ignored pixels too.

    Why it matters: mmsegmentation 1.2.2 indexes the weights by every label, the ignored 255 included: an IndexError on
    the CPU, a device-side assert on the GPU. Padding alone makes such pixels.

    Bad:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Good:
        model = dict(decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss')))

    Known problems: judged for the upstream release only (openmmlab); onedl-mmsegmentation 1.4 looks up valid pixels.

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `cross_entropy`; mmsegmentation issue 3864.
    """
    for loss in facts.losses_of("CrossEntropyLoss"):
        ignored, channels = loss.head.get("ignore_index"), loss.head.out_channels
        if (
            loss.is_softmax
            and loss.class_weight is not None
            and loss.get("reduction") == "mean"
            and isinstance(ignored, int)
            and channels is not None
            and ignored >= channels
            and facts.registry.snapshot.release == "openmmlab"
        ):
            yield Mark(
                loss.at("class_weight"),
                f"mmsegmentation 1.2 looks up a class weight for the ignored label {ignored}, and fails",
                "train without class weights, or with onedl-mmsegmentation",
            )


@rule("LOSS018", Severity.WARNING)
def averaged_over_padding(facts: Facts) -> Iterator[Mark]:
    """The loss is averaged over ignored pixels, and there are many of them.

    Why it matters: with `avg_non_ignore=False` the mean divides by all pixels, padding included. An image padded to
    four times its size weighs a quarter of one that fills the crop, and the loss of the whole batch shrinks with it.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(1024, 1024)),
            decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')))
        train_dataloader = dict(
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='PackSegInputs'),
            ]))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)),
            decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')))
        train_dataloader = dict(
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='PackSegInputs'),
            ]))

    Known problems: the smallest image is estimated from the scale of RandomResize, as if images had its shape. A
    value that is left at its default is reported only where every image is padded, as mmseg's own configs leave it so.

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py; mmsegmentation pull request 1409.
    """
    losses = [loss for loss in facts.losses_of("CrossEntropyLoss") if loss.get("avg_non_ignore") is False]
    if not losses:
        return
    padded = facts.padding
    if padded is None:
        return
    for loss in losses:
        is_set = "avg_non_ignore" in loss.values
        share = padded.worst if is_set else padded.least
        if share < 0.4 or loss.get("reduction") != "mean":
            continue
        if loss.get("class_weight") is not None:
            continue  # divides by the weights of the valid pixels
        yield Mark(
            loss.at("avg_non_ignore"),
            f"the mean divides by padding too, which is {'up to ' if is_set else ''}{share:.0%} of the "
            f"{padded.height} x {padded.width} pixels",
            "set avg_non_ignore=True, or pad less",
            argument_set(loss, "avg_non_ignore", True, "average over valid pixels", safe=False),
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
            if loss.plugin is None or node is None or loss.is_default:
                continue
            own = node.value
            if isinstance(own, int) and isinstance(of_head, int) and own != of_head:
                yield Mark(
                    node,
                    f"{loss.kind} is to ignore label {own}, and its head ignores {of_head}",
                    "leave it out: the head hands its own on",
                    fix(f"set ignore_index={of_head}", replaced(node, of_head), safe=False),
                )
