"""What the data preprocessor makes of the numbers of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import count, number
from provecfg.findings import Severity
from provecfg.rules.edits import fix, put
from provecfg.rules.rule import Mark, rule


@rule("DATA005", Severity.ERROR)
def normalised_twice(facts: Facts) -> Iterator[Mark]:
    """Images are normalised in the pipeline and again by the model.

    Why it matters: SegDataPreProcessor subtracts mean and divides by std; a `Normalize` left over from 0.x does it
    before. Both work, and the model sees images that no pretrained weights have seen.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), mean=[123.7], std=[58.4]))
        train_dataloader = dict(dataset=dict(pipeline=[dict(type='Normalize', mean=[123.7], std=[58.4])]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), mean=[123.7], std=[58.4]))
        train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')]))

    Source: mmsegmentation 1.2.2, models/data_preprocessor.py; mmagic issue 1064.
    """
    if facts.value(facts.preprocessor, "mean") is None or not isinstance(facts.value(facts.preprocessor, "mean"), list):
        return
    for _, dataset in facts.datasets:
        node = dataset.transform("Normalize")
        if node is not None:
            yield Mark(node, "Normalize here, and mean and std in the data preprocessor", "take Normalize out")


_RED, _BLUE = 123.675, 103.53
"""Mean of ImageNet's red and blue channel, times 255 (mmsegmentation 1.2.2, configs/_base_/models)."""


def _triple(value: Any) -> list[float] | None:
    if not isinstance(value, (list, tuple)) or not value:
        return None
    numbers = [number(item) for item in value]
    return [float(item) for item in numbers if item is not None] if None not in numbers else None


@rule("DATA022", Severity.WARNING)
def channels_out_of_order(facts: Facts) -> Iterator[Mark]:
    """The mean of red is taken from the blue channel.

    Why it matters: images are loaded as blue, green, red. ImageNet's mean in the order red, green, blue belongs to
    `bgr_to_rgb=True`; without it the channels reach the backbone in an order that its weights were not trained on,
    shifted by each other's mean. Nothing fails, and transfer suffers.

    Bad:
        model = dict(data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
            bgr_to_rgb=False, size=(512, 512)))

    Good:
        model = dict(data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True, size=(512, 512)))

    Known problems: ImageNet's mean alone is known by its numbers; a pipeline that loads with other than the default
    `color_type` or backend is not judged.

    Source: mmengine 0.10.7, model/base_model/data_preprocessor.py; mmcv 2.1.0, transforms/loading.py.
    """
    node = facts.preprocessor
    train = facts.loader("train")
    mean = _triple(facts.value(node, "mean"))
    if node is None or mean is None or len(mean) != 3:
        return
    for dataset in train.datasets if train is not None else ():
        load = dataset.transform("LoadImageFromFile")
        if load is None or any(key in load.value for key in ("color_type", "imdecode_backend")):
            return
    flag = facts.value(node, "bgr_to_rgb", False)
    reversed_flag = facts.value(node, "rgb_to_bgr", False)
    if flag is True and _spans(mean, _BLUE, _RED):
        wrong, right = "blue, green, red", False
    elif flag is False and reversed_flag is False and _spans(mean, _RED, _BLUE):
        wrong, right = "red, green, blue", True
    else:
        return
    yield Mark(
        node.get("bgr_to_rgb") or node,
        f"the mean is in the order {wrong}, and bgr_to_rgb={flag} hands the channels over in the other one",
        f"set bgr_to_rgb={right}",
        fix(f"set bgr_to_rgb={right}", put(node, "bgr_to_rgb", right), safe=False),
    )


def _spans(mean: list[float], first: float, last: float) -> bool:
    """Whether a mean begins and ends with these channels'."""
    return abs(mean[0] - first) < 0.5 and abs(mean[2] - last) < 0.5


_TRANSFORMS_OF_OTHERS: Final = ("NormalizeTo01", "ToFloat", "Albu", "ConcatCDInput")


@rule("DATA023", Severity.WARNING)
def normalised_as_fractions(facts: Facts) -> Iterator[Mark]:
    """Mean and deviation are those of images between 0 and 1, and images count to 255.

    Why it matters: taken from torchvision, `mean=[0.485, 0.456, 0.406]` shifts a pixel by less than one step; divided
    by a deviation of 0.2, or by none, the backbone sees numbers far from those that it was trained on.

    Bad:
        model = dict(data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225],
            bgr_to_rgb=True, size=(512, 512)))

    Good:
        model = dict(data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True, size=(512, 512)))

    Known problems: a mean of zero, or one beside a deviation of 1, is taken as meant, and so is any in a config whose
    pipeline has a transform that is not mmseg's or mmcv's.

    Source: mmengine 0.10.7, model/base_model/data_preprocessor.py, `ImgDataPreprocessor`.
    """
    node = facts.preprocessor
    mean, std = _triple(facts.value(node, "mean")), _triple(facts.value(node, "std"))
    if node is None or mean is None or std is None or not _are_mmsegs(facts):
        return
    kind = node.type
    small_mean = 0 < max(mean) <= 1 and min(mean) > 0
    small_std = max(std) < 1 and min(std) > 0
    if kind == "SegDataPreProcessor" and ((small_mean and any(deviation != 1 for deviation in std)) or small_std):
        which = "mean" if small_mean else "std"
        yield Mark(
            node.get(which) or node,
            f"{which} {facts.value(node, which)} is of images between 0 and 1, and pixels count from 0 to 255",
            "multiply it by 255",
        )


def _are_mmsegs(facts: Facts) -> bool:
    """Whether the pipelines leave images in 0 to 255, as far as is known."""
    transforms = [
        transform for loader in facts.loaders for dataset in loader.datasets for transform in dataset.transforms
    ]
    are_known = all(facts.class_of(transform, "transform") is not None for transform in transforms)
    return are_known and not any(transform.type in (*_TRANSFORMS_OF_OTHERS, "Normalize") for transform in transforms)


@rule("DATA024", Severity.ERROR)
def deviation_not_positive(facts: Facts) -> Iterator[Mark]:
    """Images are divided by a deviation of zero, or less.

    Why it matters: at zero the model sees infinities, and everything that it learns from them is nan; below it the
    channel is inverted.

    Bad:
        model = dict(data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 0.0, 57.375],
            bgr_to_rgb=True, size=(512, 512)))

    Good:
        model = dict(data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True, size=(512, 512)))

    Source: mmengine 0.10.7, model/base_model/data_preprocessor.py, `ImgDataPreprocessor.forward`.
    """
    node = facts.preprocessor
    std = _triple(facts.value(node, "std"))
    if node is not None and std is not None and min(std) <= 0:
        yield Mark(node.get("std") or node, f"the images are divided by {min(std):g}", "ImageNet's are near 58")


@rule("DATA039", Severity.ERROR)
def image_channels_disagree(facts: Facts) -> Iterator[Mark]:
    """Images, the mean that is taken off them, and the backbone disagree about the number of channels.

    Why it matters: three means taken off a grey image make three channels of it; the backbone's first convolution, or
    the subtraction itself, fails at the first image.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), mean=[123.7] * 3, std=[58.4] * 3),
            backbone=dict(type='ResNetV1c', depth=18, in_channels=1))
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[
                    dict(type='LoadImageFromFile', color_type='grayscale'), dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs')]))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), mean=[123.7], std=[58.4]),
            backbone=dict(type='ResNetV1c', depth=18, in_channels=1))
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[
                    dict(type='LoadImageFromFile', color_type='grayscale'), dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs')]))

    Known problems: classes of the user's, and transforms that may add or drop channels, are left alone. Images in
    colour are held against the backbone by another rule.

    Source: mmsegmentation 1.2.2, models/data_preprocessor.py, `forward`; mmsegmentation issue 3275.
    """
    named, preprocessor = facts.of_model("type"), facts.preprocessor
    segmentor = facts.segmentor
    if preprocessor is None or preprocessor.type != "SegDataPreProcessor":
        return
    if (
        named is not None
        and isinstance(named.value, str)
        and (segmentor is None or segmentor.is_of_user or not segmentor.is_a("EncoderDecoder"))
    ):
        return
    backbone = facts.section("model.backbone")
    info = facts.class_of(backbone)
    wanted = count(facts.argument(backbone, "in_channels"))
    means = facts.value(preprocessor, "mean")
    if backbone is None or info is None or info.is_of_user or wanted is None:
        return
    if means is not None and _triple(means) is None:
        return
    for loader, dataset in facts.datasets:
        channels = dataset.image_channels
        if channels is None:
            continue
        where = f"images of {loader.split}_dataloader have {channels} channel{'s' * (channels != 1)}"
        handed_on = channels if means is None else max(channels, len(means))
        if means is not None and channels != len(means) and 1 not in (channels, len(means)):
            yield Mark(
                preprocessor.get("mean") or preprocessor, f"{where}, mean {len(means)}", "give a mean for each channel"
            )
            return
        if channels != 3 and handed_on != wanted:
            made = "" if handed_on == channels else f", and {handed_on} once the mean is taken off"
            yield Mark(
                backbone.get("in_channels") or backbone,
                f"{where}{made}; the backbone takes {wanted}",
                f"set in_channels={handed_on}, or load images of {wanted}",
            )
            return
