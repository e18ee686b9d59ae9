"""Sizes of images: what stacks into a batch, and how much of it is padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.data import Dataset, final_size, is_no_pair, pair
from provecfg.facts.facts import Facts
from provecfg.facts.padding import smaller_than_crop
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, replaced
from provecfg.rules.rule import Mark, rule


@rule("DATA006", Severity.WARNING)
def padded_size_missing(facts: Facts) -> Iterator[Mark]:
    """The data preprocessor needs either `size`, a pair of whole numbers, or `size_divisor`.

    Why it matters: with neither, or with both, the first training batch fails an assertion; with a size that is no
    pair, where it is padded.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.7], std=[58.4]))
        train_dataloader = dict(batch_size=2)

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.7], std=[58.4], size=(512, 512)))
        train_dataloader = dict(batch_size=2)

    Known problems: a config that is only tested with needs neither.

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`; mmsegmentation issue 2938.
    """
    node = facts.preprocessor
    if node is None or node.type != "SegDataPreProcessor" or facts.loader("train") is None:
        return
    names = [name for name in ("size", "size_divisor") if node.value.get(name) is not None]
    if not names:
        yield Mark(
            node, "neither size nor size_divisor: the first batch fails", "set size to the crop's", missing="size"
        )
    elif len(names) == 2:
        yield Mark(node.get("size_divisor") or node, "size and size_divisor: the first batch fails", "keep one")
    size = node.get("size")
    if size is not None and size.is_list and is_no_pair(size.value):
        yield Mark(size, f"size={size.value!r:.60} is no pair of whole numbers", "set size to (height, width)")
    test = node.get("test_cfg")
    if test is not None and test.is_dict and test.value:
        names = [name for name in ("size", "size_divisor") if test.value.get(name) is not None]
        if len(names) != 1:
            yield Mark(test, "test_cfg needs either size or size_divisor: the first validation fails", "set one")


@rule("DATA036", Severity.ERROR)
def images_never_stacked(facts: Facts) -> Iterator[Mark]:
    """The model has no data preprocessor, and nothing else makes a batch out of the images.

    Why it matters: without one, mmengine hands the images on as the list that they were collated to, and the backbone
    fails at the first batch.

    Bad:
        default_scope = 'mmseg'
        model = dict(type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=50), decode_head=dict(
            type='FCNHead', in_channels=2048, channels=512, num_classes=19, in_index=3))
        train_dataloader = dict(
            batch_size=2, sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset'))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)
        optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))

    Good:
        default_scope = 'mmseg'
        model = dict(type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=50), decode_head=dict(
            type='FCNHead', in_channels=2048, channels=512, num_classes=19, in_index=3),
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(
            batch_size=2, sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset'))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)
        optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))

    Known problems: a segmentor of one's own may stack them itself, and is left alone.

    Source: mmengine 0.10.7, model/base_model/base_model.py and dataset/utils.py, `pseudo_collate`.
    """
    train, info = facts.loader("train"), facts.segmentor
    if train is None or not facts.is_whole_run or facts.preprocessor is not None:
        return
    if info is None or info.is_of_user or "collate_fn" in train.node.value:
        return
    declared = (facts.get("data_preprocessor"), facts.of_model("data_preprocessor"))
    model = facts.model
    if model is not None and all(node is None or node.value is None for node in declared):
        yield Mark(
            model,
            "no data_preprocessor: the images of a batch stay a list",
            "set data_preprocessor=dict(type='SegDataPreProcessor', size=...) with mean and std",
            missing="data_preprocessor",
        )


@rule("DATA007", Severity.ERROR)
def images_do_not_stack(facts: Facts) -> Iterator[Mark]:
    """Training images of different sizes are larger than the size they are padded to.

    Why it matters: `size` pads, it does not crop. After a random resize without a crop, the images of a batch have
    different sizes, and torch.stack fails.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(
            batch_size=2,
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomResize', scale=(1024, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
                dict(type='PackSegInputs'),
            ]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(
            batch_size=2,
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomResize', scale=(1024, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='PackSegInputs'),
            ]))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`; mmsegmentation issue 3058.
    """
    size, train = pair(facts.value(facts.preprocessor, "size")), facts.loader("train")
    if size is None or train is None or train.batch_size == 1:
        return
    for dataset in train.datasets:
        after = final_size(dataset.transforms)
        if after is None or after.height is not None or after.at is None:
            continue
        if after.at.type not in ("RandomResize", "RandomChoiceResize") and not _has_mixed_sizes(dataset):
            continue  # images of one size stay of one size
        largest = _largest(after.at)
        if largest is not None and largest[0] <= min(size) and largest[1] <= max(size):
            continue
        yield Mark(
            after.at,
            f"images leave the pipeline in different sizes, and size={size} only pads",
            f"add dict(type='RandomCrop', crop_size={size}, cat_max_ratio=0.75) behind it",
        )


def _largest(resize: Node) -> tuple[float, float] | None:
    scale, ratios = pair(resize.value.get("scale")), resize.value.get("ratio_range")
    if scale is None or not isinstance(ratios, (list, tuple)) or len(ratios) != 2:
        return None
    return min(scale) * ratios[1], max(scale) * ratios[1]


_MIXED_SIZES: Final = frozenset(
    {
        # datasets whose images have many sizes
        "ADE20KDataset",
        "COCOStuffDataset",
        "LIPDataset",
        "MapillaryDataset_v1",
        "MapillaryDataset_v2",
        "PascalContextDataset",
        "PascalContextDataset59",
        "PascalVOCDataset",
        "iSAIDDataset",
    }
)


@rule("DATA008", Severity.WARNING)
def crop_larger_than_size(facts: Facts) -> Iterator[Mark]:
    """Training crops are larger than the size that images are padded to.

    Why it matters: an image that is smaller than the crop is padded to `size` only, and does not stack with full crops.
    Mostly one of the two was changed and the other forgotten.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(640, 640)),
            dict(type='PackSegInputs'),
        ]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(640, 640)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(640, 640)),
            dict(type='PackSegInputs'),
        ]))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`.
    """
    size, train = pair(facts.value(facts.preprocessor, "size")), facts.loader("train")
    if size is None or train is None:
        return
    for dataset in train.datasets:
        after = final_size(dataset.transforms)
        if after is None or after.at is None or after.at.type != "RandomCrop":
            continue
        height, width = after.height or 0, after.width or 0
        if height > size[0] or width > size[1]:
            yield Mark(
                after.at.get("crop_size") or after.at,
                f"crops of {height} x {width}, and the data preprocessor pads to {size[0]} x {size[1]}",
                f"set the data preprocessor's size to {(height, width)}",
            )


def _has_mixed_sizes(dataset: Dataset) -> bool:
    return dataset.kind in _MIXED_SIZES and dataset.is_of_release


@rule("DATA038", Severity.WARNING)
def crop_of_everything(facts: Facts) -> Iterator[Mark]:
    """A random crop is as large as every image that comes to it.

    Why it matters: after a fixed resize to the crop's size there is nothing left to choose: each epoch sees the same
    pixels of an image, squeezed, and an augmentation that the config declares does nothing. PROVE deleted 996 GB of
    weights for it: all its strategies had come out alike.

    Bad:
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', scale=(512, 512), keep_ratio=False),
            dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
            dict(type='PackSegInputs'),
        ]))

    Good:
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
            dict(type='PackSegInputs'),
        ]))

    Known problems: judged where the pipeline itself fixes the size; that images are no larger than the crop by
    themselves is for `provecfg init` to see.

    Source: mmsegmentation 1.2.2, datasets/transforms/transforms.py, `RandomCrop.crop_bbox`.
    """
    train = facts.loader("train")
    for dataset in train.datasets if train is not None else ():
        for index, crop in enumerate(dataset.transforms):
            size = pair(crop.value.get("crop_size")) if crop.type == "RandomCrop" else None
            before = final_size(dataset.transforms[:index]) if size is not None else None
            if size is None or before is None or not before.is_fixed or before.height is None or before.width is None:
                continue
            is_resized = before.at is not None and before.at.type == "Resize"
            if is_resized and size[0] >= before.height and size[1] >= before.width:
                yield Mark(
                    crop,
                    f"images are resized to {before.height} x {before.width}, and the crop is {size[0]} x {size[1]}",
                    "resize by chance before it: dict(type='RandomResize', scale=..., ratio_range=(0.5, 2.0), "
                    "keep_ratio=True)",
                )


@rule("DATA010", Severity.ERROR)
def validation_batch_of_sizes(facts: Facts) -> Iterator[Mark]:
    """Validation batches hold images of different sizes.

    Why it matters: "The image size in a batch should be the same", at the first validation. Images are not padded
    there; a resize that keeps their ratio leaves them different.

    Bad:
        val_dataloader = dict(
            batch_size=4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='ADE20KDataset',
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
                    dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs'),
                ]))

    Good:
        val_dataloader = dict(
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='ADE20KDataset',
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
                    dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs'),
                ]))

    Known problems: judged for datasets of mmseg's that are known to have images of many sizes, and where the batch is
    stacked by mmseg's preprocessor: a segmentor of one's own without one, or a preprocessor of one's own, may do it in
    another way.

    Source: mmsegmentation 1.2.2, models/data_preprocessor.py, `SegDataPreProcessor.forward`.
    """
    if not _is_stacked_as_released(facts):
        return
    for loader, dataset in facts.datasets:
        size = loader.batch_size
        if loader.split == "train" or size is None or size < 2 or not _has_mixed_sizes(dataset):
            continue
        after = final_size(dataset.transforms)
        if after is not None and dataset.transforms and not after.is_fixed:
            node = loader.node.get("batch_size") or loader.node
            yield Mark(
                node,
                f"batches of {size} images of {dataset.kind}, which have different sizes",
                "set batch_size=1, or resize to one size (keep_ratio=False)",
                fix("set batch_size=1", replaced(node, 1), safe=False),
            )


def _is_stacked_as_released(facts: Facts) -> bool:
    """Whether the release's preprocessor stacks a batch: the one that is declared, or where no model is, any."""
    if facts.preprocessor is not None:
        info = facts.class_of(facts.preprocessor)
        return info is not None and not (info.is_of_user and info.may_replace("forward"))
    return facts.model is None or (facts.segmentor is not None and not facts.segmentor.is_of_user)


@rule("DATA013", Severity.WARNING)
def padding_is_trained(facts: Facts) -> Iterator[Mark]:
    """Padded pixels get a label that the head does not ignore.

    Why it matters: `seg_pad_val` is the label of padding. If it is a class, the padding is trained as that class; if it
    is none, the loss fails (a device-side assert on the GPU). Images that fill the size are not padded.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), seg_pad_val=0),
            decode_head=dict(num_classes=4, ignore_index=255))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), seg_pad_val=255),
            decode_head=dict(num_classes=4, ignore_index=255))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`.
    """
    node = facts.preprocessor
    if node is None or node.type != "SegDataPreProcessor":
        return
    padded = facts.argument(node, "seg_pad_val")
    head = next(reversed(facts.decode_heads), None)
    ignored = head.get("ignore_index") if head is not None else None
    if not isinstance(padded, int) or not isinstance(ignored, int) or padded == ignored or head is None:
        return
    written = node.get("seg_pad_val")
    kind = f"class {padded}" if head.num_classes is None or padded < head.num_classes else "a label that no channel has"
    yield Mark(
        written or node,
        f"padding is labelled {padded}, the head ignores {ignored}: padding is trained as {kind}",
        f"set seg_pad_val={ignored}",
        fix(f"label padding {ignored}", replaced(written, ignored), safe=False) if written is not None else None,
    )


@rule("DATA021", Severity.WARNING)
def every_image_is_padded(facts: Facts) -> Iterator[Mark]:
    """Training crops are smaller than the size that images are padded to, or all images than the crop.

    Why it matters: every image gets a margin of padding, which costs memory and time and trains nothing. Mostly one of
    the two was changed and the other forgotten: images are scaled into `scale` times the largest of `ratio_range`, and
    a crop of that is no larger.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(640, 640)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(512, 512)),
            dict(type='PackSegInputs'),
        ]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(512, 512)),
            dict(type='PackSegInputs'),
        ]))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`.
    """
    padded = facts.padding
    node = facts.preprocessor.get("size") if facts.preprocessor is not None else None
    if padded is not None and node is not None and padded.least > 0:
        yield Mark(
            node,
            f"every training image is padded: {padded.least:.0%} of the {padded.height} x {padded.width} pixels lie "
            "outside the crop",
            "set size to the crop's",
        )
    train, size = facts.loader("train"), pair(node.value) if node is not None else None
    for dataset in train.datasets if train is not None else ():
        small = smaller_than_crop(dataset, size) if size is not None else None
        if small is not None:
            resize, crop, empty = small
            height, width = pair(crop.value.get("crop_size")) or (0, 0)
            yield Mark(
                resize.get("scale") or resize,
                f"every training image is smaller than the crop: at least {empty:.0%} of the {height} x {width} pixels "
                "stay empty",
                "set the images' own size, or a smaller crop",
            )
