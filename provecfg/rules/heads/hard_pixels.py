"""Online hard example mining: which pixels a head's sampler keeps, and the losses that it asks for them."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.data import pair
from provecfg.facts.facts import Facts
from provecfg.facts.model import Head
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, removed
from provecfg.rules.rule import Mark, rule


def _ohem(facts: Facts) -> Iterator[tuple[Head, Node]]:
    for head in facts.heads:
        sampler = head.node.get("sampler")
        if sampler is not None and sampler.type == "OHEMPixelSampler" and head.calls_losses_plainly:
            yield head, sampler


@rule("HEAD010", Severity.WARNING)
def ohem_keeps_everything(facts: Facts) -> Iterator[Mark]:
    """OHEM keeps at least as many pixels as an image has.

    Why it matters: `min_kept` counts pixels per image. Where it is not smaller than the crop, the threshold becomes the
    highest probability there is, and nearly every pixel is kept: no hard example mining at all. The default is 100000,
    more than a crop of 256 x 256 has.

    Bad:
        model = dict(decode_head=dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=100000)))
        train_dataloader = dict(
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(256, 256)),
                dict(type='PackSegInputs'),
            ]))

    Good:
        model = dict(decode_head=dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000)))
        train_dataloader = dict(
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(256, 256)),
                dict(type='PackSegInputs'),
            ]))

    Source: mmsegmentation 1.2.2, structures/sampler/ohem_pixel_sampler.py; mmsegmentation issue 507.
    """
    pixels = _crop_pixels(facts)
    if pixels is None:
        return
    for _, sampler in _ohem(facts):
        kept = facts.argument(sampler, "min_kept", "task util")
        if isinstance(kept, int) and kept >= pixels:
            yield Mark(
                sampler.get("min_kept") or sampler,
                f"OHEM keeps at least {kept} pixels of an image, which has {pixels}: it keeps all of them",
                f"set min_kept to a fraction, such as {pixels // 6}",
            )


def _crop_pixels(facts: Facts) -> int | None:
    size = pair(facts.value(facts.preprocessor, "size"))
    train = facts.loader("train")
    crops = [
        crop
        for dataset in (train.datasets if train is not None else ())
        if (transform := dataset.transform("RandomCrop")) is not None
        and (crop := pair(transform.value.get("crop_size")))
    ]
    largest = max((height * width for height, width in crops), default=None)
    return largest if largest is not None or size is None else size[0] * size[1]


@rule("HEAD011", Severity.ERROR)
def ohem_with_unweighted_loss(facts: Facts) -> Iterator[Mark]:
    """OHEM gives the losses of its head a weight per pixel, which one of them cannot take.

    Why it matters: DiceLoss takes one weight an image, FocalLoss one a class and pixel: an AssertionError or a
    RuntimeError about sizes at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=4,
                sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=20000),
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='FocalLoss')]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4,
                sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=20000),
                loss_decode=dict(type='CrossEntropyLoss')))

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py and focal_loss.py; mmdetection issue 6129.
    """
    for head, sampler in _ohem(facts):
        if facts.argument(sampler, "thresh", "task util") is None:
            continue
        for loss in head.losses:
            if loss.kind in ("DiceLoss", "FocalLoss") or (
                loss.plugin is not None and not loss.plugin.takes_pixel_weight
            ):
                yield Mark(
                    loss.node,
                    f"{loss.kind} cannot take the weight per pixel of this head's OHEMPixelSampler",
                    "drop the sampler, or this loss",
                )


@rule("HEAD012", Severity.ERROR)
def ohem_without_threshold(facts: Facts) -> Iterator[Mark]:
    """OHEM without a threshold needs losses with one value a pixel.

    Why it matters: it then sorts the pixels by the sum of all losses, computed with `reduction='none'`. Dice and Lovasz
    give one number, a sigmoid cross-entropy or focal loss one for each channel: an error at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=4,
                sampler=dict(type='OHEMPixelSampler', min_kept=20000),
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='LovaszLoss', per_image=True)]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4,
                sampler=dict(type='OHEMPixelSampler', min_kept=20000),
                loss_decode=dict(type='CrossEntropyLoss')))

    Source: mmsegmentation 1.2.2, structures/sampler/ohem_pixel_sampler.py; mmdetection issue 6129.
    """
    for head, sampler in _ohem(facts):
        if facts.argument(sampler, "thresh", "task util") is not None or head.out_channels == 1:
            continue
        for loss in head.losses:
            is_mmsegs = loss.kind in ("DiceLoss", "FocalLoss", "LovaszLoss", "TverskyLoss", "HuasdorffDisstanceLoss")
            is_of_sigmoids = loss.kind == "CrossEntropyLoss" and loss.is_softmax is False
            if is_mmsegs or is_of_sigmoids or (loss.plugin is not None and not loss.plugin.has_pixel_map):
                yield Mark(
                    sampler,
                    f"OHEMPixelSampler without thresh sorts pixels by their loss; {loss.kind} of "
                    f"{loss.node.key.rpartition('.')[2]} has none per pixel",
                    "set thresh, such as 0.7, or keep a softmax cross-entropy alone",
                )


@rule("HEAD013", Severity.ERROR)
def ohem_of_one_channel(facts: Facts) -> Iterator[Mark]:
    """OHEM with a threshold on a head of one channel.

    Why it matters: it takes the softmax over the channels and looks up each label's probability. Label 1 has no
    channel: "index 1 is out of bounds" at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                out_channels=1,
                sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=8000),
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2,
                out_channels=1,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, structures/sampler/ohem_pixel_sampler.py, `sample`.
    """
    for head, sampler in _ohem(facts):
        if head.out_channels == 1 and facts.argument(sampler, "thresh", "task util") is not None:
            yield Mark(
                sampler,
                "OHEMPixelSampler looks up label 1 in a head of one channel",
                "predict two channels (num_classes=2, no out_channels), or drop the sampler",
                fix("drop the sampler", removed(sampler), safe=False),
            )
