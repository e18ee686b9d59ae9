"""Decode and auxiliary heads: their channels and classes, their inputs, their samplers, and how the model predicts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.backbones import feature_channels
from provecfg.facts.data import pair
from provecfg.facts.facts import Facts
from provecfg.facts.model import Head
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.invariants import images_for_pooled_batch_norm
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, put, removed, replaced
from provecfg.rules.rule import Mark, rule


@rule("HEAD001", Severity.ERROR)
def channels_against_classes(facts: Facts) -> Iterator[Mark]:
    """The head has neither one channel a class nor, for two classes, one channel.

    Why it matters: one channel can tell background from one foreground class. With more classes, labels above 1 fail in
    a cross-entropy; losses that clamp them (Dice, Tversky, Lovasz) train without a word, and all other classes are
    never predicted. Any other number fails when the model is built.

    Bad:
        model = dict(decode_head=dict(num_classes=4, out_channels=1))

    Good:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.5))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `BaseDecodeHead.__init__`.
    """
    for head in facts.heads:
        given, classes = facts.value(head.node, "out_channels"), head.num_classes
        if head.out_channels is None or not isinstance(given, int) or classes is None or given == classes:
            continue
        if given == 1 and classes <= 2:
            continue
        node = head.at("out_channels")
        yield Mark(
            node,
            f"{given} output channel{'s' if given != 1 else ''} for {classes} classes",
            "leave out_channels out (one channel a class); one channel is for num_classes=2",
            fix("predict one channel a class", removed(node), safe=False)
            if "threshold" not in head.node.value
            else None,
        )


@rule("HEAD002", Severity.ERROR)
def threshold_out_of_range(facts: Facts) -> Iterator[Mark]:
    """The threshold of a binary head is not between 0 and 1.

    Why it matters: it is compared with a sigmoid. At 1 or more, foreground is never predicted, at 0 or less always.

    Bad:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=50))

    Good:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.5))

    Source: mmsegmentation 1.2.2, models/segmentors/base.py, `postprocess_result`.
    """
    for head in facts.heads:
        value = number(facts.value(head.node, "threshold"))
        if value is not None and not 0 < value < 1 and head.out_channels in (1, None):
            always = "foreground is never predicted" if value >= 1 else "everything is predicted as foreground"
            node = head.at("threshold")
            fraction = value / 100
            yield Mark(
                node,
                f"threshold {value:g} is compared with a probability: {always}",
                "give a fraction between 0 and 1",
                fix(f"write {fraction:g}", replaced(node, fraction), safe=False) if 1 < value < 100 else None,
            )


@rule("HEAD003", Severity.WARNING)
def threshold_without_use(facts: Facts) -> Iterator[Mark]:
    """A head of several channels ignores its threshold.

    Why it matters: it predicts the arg max of its channels. The threshold is read only where there is one channel.

    Bad:
        model = dict(decode_head=dict(num_classes=2, threshold=0.5))

    Good:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.5))

    Source: mmsegmentation 1.2.2, models/segmentors/base.py, `postprocess_result`.
    """
    for head in facts.heads:
        channels = head.out_channels
        if channels is not None and channels > 1 and number(facts.value(head.node, "threshold")) is not None:
            node = head.at("threshold")
            yield Mark(
                node,
                f"the threshold is not used: the head predicts the arg max of {channels} channels",
                "set out_channels=1 for a binary head, or drop the threshold",
                fix("drop the threshold", removed(node), safe=True),
            )


def _main_classes(facts: Facts) -> tuple[Head, int] | None:
    for head in reversed(facts.decode_heads):
        if head.num_classes is not None:
            return head, head.num_classes
    return None


@rule("HEAD004", Severity.WARNING)
def more_classes_than_main_head(facts: Facts) -> Iterator[Mark]:
    """A head has more classes than the one that predicts.

    Why it matters: it trains classes that no label has. Mostly its number was forgotten when the other was changed.

    Bad:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=19))

    Good:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=4))

    Source: mmsegmentation pull request 488.
    """
    yield from _against_main_head(facts, more=True)


@rule("HEAD005", Severity.ERROR)
def fewer_classes_than_main_head(facts: Facts) -> Iterator[Mark]:
    """A head has fewer classes than the one that predicts.

    Why it matters: all heads see the same labels. The first image with a higher label fails with an IndexError on the
    CPU, a device-side assert on the GPU, maybe hours into training.

    Bad:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=2))

    Good:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=4))

    Source: mmsegmentation issues 1553 and 390.
    """
    yield from _against_main_head(facts, more=False)


def _against_main_head(facts: Facts, *, more: bool) -> Iterator[Mark]:
    main = _main_classes(facts)
    if main is None:
        return
    main_head, classes = main
    for head in facts.heads:
        own = head.num_classes
        if head is main_head or own is None or own == classes or (own > classes) is not more:
            continue
        if head.kind == "STDCHead":  # trains edges: 2 classes, boundary_threshold
            continue
        node = head.at("num_classes")
        yield Mark(
            node,
            f"{own} classes, the {main_head.node.key} has {classes}",
            f"set num_classes={classes}",
            fix(f"set num_classes={classes}", replaced(node, classes), safe=not more),
        )


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


def _against_dataset(facts: Facts, *, more: bool) -> Iterator[Mark]:
    main, train = _main_classes(facts), facts.loader("train")
    if main is None or train is None:
        return
    counts = [dataset.classes for dataset in train.datasets]
    known = [count for count in counts if count is not None]
    if not known or len(known) != len(counts):
        return
    most, (head, classes) = max(known), main
    if not more and not head.calls_losses_plainly:
        return  # heads that train on sets of masks map the labels themselves
    if classes == most or (classes > most) is not more or (classes == 1 and most == 2):
        return
    node = head.at("num_classes")
    yield Mark(
        node,
        f"{classes} classes, the training data has {most}",
        f"set num_classes={most} in every head",
        fix(f"set num_classes={most}", replaced(node, most), safe=not more) if len(facts.heads) == 1 else None,
    )


@rule("HEAD008", Severity.ERROR)
def mask_class_weight_length(facts: Facts) -> Iterator[Mark]:
    """Class weights of a mask head need one more, for "no object".

    Why it matters: its classification loss has num_classes + 1 channels. A list of another length fails at the first
    iteration (a device-side assert on the GPU).

    Bad:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                in_channels=[64, 128], strides=[4, 8], feat_channels=64, out_channels=64, num_queries=10,
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 0.1])))

    Good:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                in_channels=[64, 128], strides=[4, 8], feat_channels=64, out_channels=64, num_queries=10,
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
                in_channels=[64, 128], strides=[4, 8], feat_channels=64, out_channels=64, num_queries=10,
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss')))

    Good:
        model = dict(
            decode_head=dict(
                type='Mask2FormerHead',
                in_channels=[64, 128], strides=[4, 8], feat_channels=64, out_channels=64, num_queries=10,
                num_classes=3,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 1.0, 0.1])))

    Source: mmdetection 3.3.0, models/dense_heads/mask2former_head.py, `__init__`.
    """
    for head in facts.heads:
        loss = head.node.get("loss_cls")
        if head.is_mask_head and loss is not None and loss.is_dict and loss.value.get("class_weight") is None:
            known = facts.class_of(head.node)
            if known is None or not known.is_a("Mask2FormerHead"):
                continue
            classes = head.num_classes
            yield Mark(
                loss,
                "the head reads class_weight of loss_cls, and there is none",
                f"set class_weight=[1.0] * {classes or 'num_classes'} + [0.1]",
                missing="class_weight",
            )


# Pixel samplers


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
        if (found := dataset.transform("RandomCrop")) is not None and (crop := pair(found.value.get("crop_size")))
    ]
    largest = max((height * width for height, width in crops), default=None)
    return largest if largest is not None or size is None else size[0] * size[1]


@rule("HEAD011", Severity.ERROR)
def ohem_with_unweighted_loss(facts: Facts) -> Iterator[Mark]:
    """OHEM gives the losses of its head a weight per pixel, which one of them cannot take.

    Why it matters: DiceLoss asserts one weight an image, FocalLoss one a class and pixel: a bare AssertionError at the
    first iteration.

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
            if loss.kind in ("DiceLoss", "FocalLoss"):
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
    per_pixel = {"SoftmaxFocalLoss"}
    for head, sampler in _ohem(facts):
        if facts.argument(sampler, "thresh", "task util") is not None or head.out_channels == 1:
            continue
        for loss in head.losses:
            known = loss.kind in ("DiceLoss", "FocalLoss", "LovaszLoss", "TverskyLoss", "HuasdorffDisstanceLoss")
            if known or ((loss.kind == "CrossEntropyLoss" and loss.is_softmax is False) and loss.kind not in per_pixel):
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


# Inputs of a head


def _indices(head: Head) -> tuple[Node, list[int]] | None:
    value = head.get("in_index")
    values = [value] if isinstance(value, int) else list(value) if isinstance(value, (list, tuple)) else []
    if not values or not all(isinstance(item, int) and not isinstance(item, bool) for item in values):
        return None
    return head.at("in_index"), values


@rule("HEAD014", Severity.ERROR)
def input_index_out_of_range(facts: Facts) -> Iterator[Mark]:
    """The head asks for a feature map that backbone or neck do not give.

    Why it matters: IndexError at the first iteration.

    Bad:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=50, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=2048, in_index=4))

    Good:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=50, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=2048, in_index=3))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `_transform_inputs`.
    """
    features = feature_channels(facts)
    if features is None:
        return
    for head in facts.heads:
        found = _indices(head)
        if found is None or head.is_mask_head:
            continue
        node, indices = found
        beyond = [index for index in indices if not -len(features) <= index < len(features)]
        if beyond:
            yield Mark(
                node,
                f"in_index {beyond[0]}, and there are {len(features)} feature maps, 0 to {len(features) - 1}",
                "use one of them, or add a stage to the backbone's out_indices",
            )


@rule("HEAD015", Severity.ERROR)
def input_channels_disagree(facts: Facts) -> Iterator[Mark]:
    """The head expects another number of channels than its feature map has.

    Why it matters: the first convolution fails at the first iteration.

    Bad:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=18, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=2048, in_index=3))

    Good:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=18, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=512, in_index=3))

    Known problems: judged for ResNets, Swin, MiT, MSCAN, HRNet, UNet and FPN.

    Source: mmsegmentation 1.2.2, models/backbones.
    """
    features = feature_channels(facts)
    if features is None:
        return
    for head in facts.heads:
        found, channels = _indices(head), facts.value(head.node, "in_channels")
        if found is None or head.is_mask_head:
            continue
        wanted = [channels] if isinstance(channels, int) else list(channels) if _is_list(channels) else []
        indices = found[1]
        if len(wanted) != len(indices) or not all(-len(features) <= index < len(features) for index in indices):
            continue
        for index, asked in zip(indices, wanted, strict=True):
            given = features[index]
            if given is not None and isinstance(asked, int) and given != asked:
                yield Mark(
                    head.at("in_channels"),
                    f"in_channels {asked}, and feature map {index} has {given}",
                    f"write {[features[one] or '?' for one in indices] if _is_list(channels) else given}",
                    fix(f"write {given}", replaced(head.at("in_channels"), given), safe=True)
                    if isinstance(channels, int)
                    else None,
                )
                break


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


@rule("HEAD016", Severity.ERROR)
def input_transform_disagrees(facts: Facts) -> Iterator[Mark]:
    """Several inputs need an `input_transform`, and one input none.

    Why it matters: without a transform the head takes one feature map, and `in_channels` and `in_index` have to be
    numbers; with one they have to be lists of equal length. Anything else is a bare AssertionError when the model is
    built.

    Bad:
        model = dict(decode_head=dict(in_channels=[18, 36], in_index=[0, 1]))

    Good:
        model = dict(decode_head=dict(in_channels=[18, 36], in_index=[0, 1], input_transform='resize_concat'))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `_init_inputs`.
    """
    for head in facts.heads:
        channels, index = facts.value(head.node, "in_channels"), head.get("in_index")
        if head.is_mask_head or channels is None:
            continue
        lists = _is_list(channels), _is_list(index)
        sizes = isinstance(channels, (int, list, tuple)) and isinstance(index, (int, list, tuple))
        known = facts.class_of(head.node)
        if head.kind and (known is None or not known.is_a("BaseDecodeHead")):
            continue
        if known is None or "input_transform" in known.parameters:
            transform = facts.value(head.node, "input_transform")
            if transform is None and lists[0]:
                yield Mark(
                    head.node.get("input_transform") or head.at("in_channels"),
                    "several in_channels without an input_transform",
                    "set input_transform='resize_concat' (or 'multiple_select' where the head takes a list)",
                    fix(
                        "concatenate the resized inputs",
                        put(head.node, "input_transform", "resize_concat"),
                        safe=True,
                    ),
                )
                continue
            if isinstance(transform, str) and transform not in ("resize_concat", "multiple_select"):
                yield Mark(
                    head.at("input_transform"), f"no input_transform {transform!r}", "use 'resize_concat' or None"
                )
                continue
            if isinstance(transform, str) and sizes and isinstance(channels, int):
                yield Mark(
                    head.at("in_channels"),
                    f"input_transform={transform!r} takes a list of in_channels, not {channels}",
                    "drop input_transform, or give lists",
                )
                continue
        if all(lists) and len(channels) != len(index):
            yield Mark(
                head.at("in_index"),
                f"{len(index)} in_index for {len(channels)} in_channels",
                "give one index for each number of channels",
            )
        elif sizes and lists[0] is not lists[1]:
            yield Mark(
                head.at("in_channels"),
                f"in_channels is {channels} and in_index {index}: both are numbers, or both lists",
                "give one number of channels for each index",
            )


# The model as a whole


@rule("HEAD017", Severity.ERROR)
def cascade_stages(facts: Facts) -> Iterator[Mark]:
    """A cascade has another number of stages than heads.

    Why it matters: a bare AssertionError when the model is built.

    Bad:
        model = dict(
            type='CascadeEncoderDecoder',
            num_stages=3,
            backbone=dict(),
            decode_head=[dict(num_classes=4), dict(num_classes=4)])

    Good:
        model = dict(
            type='CascadeEncoderDecoder',
            num_stages=2,
            backbone=dict(),
            decode_head=[dict(num_classes=4), dict(num_classes=4)])

    Source: mmsegmentation 1.2.2, models/segmentors/cascade_encoder_decoder.py, `_init_decode_head`.
    """
    model = facts.model
    stages, heads = facts.value(model, "num_stages"), facts.get("model.decode_head")
    if model is None or not isinstance(stages, int) or heads is None:
        return
    count = len(heads.value) if heads.is_list else None
    if heads.is_dict or (count is not None and count != stages):
        node = model.get("num_stages") or model
        yield Mark(
            node,
            f"num_stages={stages}, and decode_head is {'one head' if count is None else f'a list of {count}'}",
            f"set num_stages={count}" if count else "give a list of heads",
            fix(f"set num_stages={count}", replaced(node, count), safe=True) if count else None,
        )


@rule("HEAD018", Severity.WARNING)
def batch_norm_of_one_image(facts: Facts) -> Iterator[Mark]:
    """A head normalises features that are pooled to one pixel, over a batch of one image.

    Why it matters: batch norm needs more than one value per channel: "Expected more than 1 value per channel when
    training", at the first iteration. SyncBN over several processes has them; on one it is the same as BN.

    Bad:
        model = dict(decode_head=dict(
            type='PSPHead', in_channels=512, channels=128, num_classes=4, norm_cfg=dict(type='BN')))
        train_dataloader = dict(batch_size=1, sampler=dict(type='InfiniteSampler'))

    Good:
        model = dict(decode_head=dict(
            type='PSPHead', in_channels=512, channels=128, num_classes=4, norm_cfg=dict(type='BN')))
        train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler'))

    Known problems: SyncBN is not reported where the file's name says several GPUs, as `8xb1` does.

    Source: torch.nn.functional, `_verify_batch_size`; mmsegmentation issue 272.
    """
    train = facts.loader("train")
    if train is None or train.batch_size is None or images_for_pooled_batch_norm(train.batch_size) is None:
        return
    pooling = [(head.node, head.kind) for head in facts.heads if _pools_to_one_pixel(facts, head)]
    backbone = facts.section("model.backbone")
    if backbone is not None and (kind := backbone.type) is not None and kind in _POOLING_BACKBONES:
        pooling.append((backbone, kind))
    several = _SEVERAL_GPUS.search(facts.view.path.stem) is not None
    for part, kind in pooling:
        norm = facts.value(part.get("norm_cfg"), "type")
        if norm in ("BN", "BN2d") or (norm in ("SyncBN", "MMSyncBN") and not several):
            yield Mark(
                train.node.get("batch_size") or train.node,
                f"{kind}: {images_for_pooled_batch_norm(train.batch_size)}",
                "set batch_size=2 or more, or norm_cfg=dict(type='GN', num_groups=32) in that part",
            )
            return


_POOLING_BACKBONES: Final = frozenset({"BiSeNetV1", "BiSeNetV2", "FastSCNN", "ICNet", "STDCContextPathNet"})
"""Backbones with a branch that pools to one pixel and normalises (mmsegmentation 1.2.2, models/backbones)."""
_SEVERAL_GPUS: Final = re.compile(r"(?:[2-9]|[1-9]\d)xb\d")
"""mmseg's file names say how many GPUs a config is for: `8xb1` is 8 with one image each."""


def _pools_to_one_pixel(facts: Facts, head: Head) -> bool:
    known = facts.class_of(head.node)
    if known is None:
        return False
    if any(known.is_a(name) for name in ("PSPHead", "UPerHead", "APCHead")):
        scales = head.get("pool_scales")
        return isinstance(scales, (list, tuple)) and 1 in scales
    return known.is_a("ASPPHead")


@rule("HEAD019", Severity.ERROR)
def weights_named_twice(facts: Facts) -> Iterator[Mark]:
    """Pretrained weights are named at two places.

    Why it matters: the segmentor hands its `pretrained` to the backbone and asserts that it has none of its own; a
    backbone asserts that `pretrained` and `init_cfg` are not both set. Either fails when the model is built.

    Bad:
        model = dict(pretrained='a.pth', backbone=dict(pretrained='b.pth'))

    Good:
        model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='b.pth')))

    Source: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py; models/backbones/resnet.py.
    """
    model = facts.model
    outer = model.get("pretrained") if model is not None else None
    backbone = facts.section("model.backbone")
    if backbone is None:
        return
    inner, init = backbone.get("pretrained"), backbone.get("init_cfg")
    if outer is not None and isinstance(outer.value, str) and inner is not None and inner.value is not None:
        yield Mark(
            outer,
            "pretrained is set on the model and on its backbone",
            "keep the backbone's",
            fix("drop the model's", removed(outer), safe=True),
        )
    given = inner if inner is not None and isinstance(inner.value, str) else None
    given = given or (outer if outer is not None and isinstance(outer.value, str) else None)
    known = facts.class_of(backbone)
    if given is not None and init is not None and init.value and not (known is not None and known.is_of_user):
        yield Mark(given, "the backbone's weights are named by pretrained and by init_cfg", "keep init_cfg")


@rule("HEAD020", Severity.ERROR)
def slide_inference(facts: Facts) -> Iterator[Mark]:
    """Sliding inference is not set up completely.

    Why it matters: `mode='slide'` needs `crop_size` and `stride`, two numbers each, and the stride must not exceed the
    crop. It is read at the first validation, after hours of training: an AttributeError, a TypeError or a bare
    AssertionError.

    Bad:
        model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512)))
        val_dataloader = dict(batch_size=1)

    Good:
        model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
        val_dataloader = dict(batch_size=1)

    Source: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py, `slide_inference`, `inference`.
    """
    test, model = facts.section("model.test_cfg"), facts.model
    if facts.loader("val") is None and facts.loader("test") is None:
        return  # a base of configs that may say more
    reads_mode = model is not None and model.type in ("EncoderDecoder", "CascadeEncoderDecoder")
    if model is not None and reads_mode and facts.schedule.validates:
        given = facts.value(model, "test_cfg")
        if given is None or (isinstance(given, dict) and "mode" not in given):
            yield Mark(
                test or model,
                "the model's test_cfg has no mode, which is read at the first validation",
                "set test_cfg=dict(mode='whole')",
                missing="test_cfg" if test is None else "mode",
            )
    if test is None:
        return
    mode = facts.value(test, "mode", "whole")
    plain = facts.value(facts.model, "type") in (None, "EncoderDecoder", "CascadeEncoderDecoder")
    if isinstance(mode, str) and mode not in ("slide", "whole") and plain:
        yield Mark(test.get("mode") or test, f"no inference mode {mode!r}", "use 'slide' or 'whole'")
    if mode != "slide":
        return
    sizes = {}
    for name in ("crop_size", "stride"):
        node = test.get(name)
        if node is None or node.value is None:
            yield Mark(test, f"sliding inference without {name}", f"set {name} to (height, width)", missing=name)
        elif isinstance(node.value, int):
            both = (node.value, node.value)
            yield Mark(
                node,
                f"{name}={node.value} is one number, sliding inference unpacks two",
                f"write {both}",
                fix(f"write {both}", replaced(node, both), safe=True),
            )
        elif (found := pair(node.value)) is not None:
            sizes[name] = found
    if len(sizes) == 2 and any(step > side for step, side in zip(sizes["stride"], sizes["crop_size"], strict=True)):
        yield Mark(
            test.get("stride") or test,
            f"stride {sizes['stride']} is larger than the crop {sizes['crop_size']}: pixels between are never seen",
            "make it smaller than the crop, two thirds of it for example",
        )


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
                fix("ignore label 255", replaced(node, 255), safe=True),
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


@rule("HEAD024", Severity.WARNING)
def backbone_loads_whole_model(facts: Facts) -> Iterator[Mark]:
    """The backbone is initialised from a checkpoint of a whole segmentation model.

    Why it matters: the names in it begin with `backbone.`, and none of them matches. The missing keys are a line in the
    log; training starts from random weights.

    Bad:
        model = dict(backbone=dict(init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r50-d8_512x512_80k.pth')))

    Good:
        model = dict(backbone=dict(init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r50-d8_512x512_80k.pth')))

    Known problems: judged by the address only, so for mmsegmentation's own checkpoints.

    Source: mmengine 0.10.7, model/weight_init.py, `PretrainedInit`; mmsegmentation issues 1380 and 2509.
    """
    init = facts.section("model.backbone.init_cfg")
    if init is None or init.type != "Pretrained" or facts.value(init, "prefix") is not None:
        return
    node = init.get("checkpoint")
    address = node.value if node is not None else None
    if isinstance(address, str) and "/mmsegmentation/v0.5/" in address and "/pretrain/" not in address:
        yield Mark(
            node or init,
            "a checkpoint of a whole segmentation model: none of its names matches the backbone's",
            "set prefix='backbone.'",
            fix("load the backbone's part", put(init, "prefix", "backbone."), safe=False),
        )


RULES = (
    channels_against_classes,
    threshold_out_of_range,
    threshold_without_use,
    more_classes_than_main_head,
    fewer_classes_than_main_head,
    fewer_classes_than_dataset,
    more_classes_than_dataset,
    mask_class_weight_length,
    mask_class_weight_missing,
    ohem_keeps_everything,
    ohem_with_unweighted_loss,
    ohem_without_threshold,
    ohem_of_one_channel,
    input_index_out_of_range,
    input_channels_disagree,
    input_transform_disagrees,
    cascade_stages,
    batch_norm_of_one_image,
    weights_named_twice,
    slide_inference,
    head_ignore_index_not_int,
    heads_ignore_different_labels,
    metric_counts_ignored_label,
    backbone_loads_whole_model,
)
