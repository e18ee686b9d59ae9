"""A training batch made for a config: images and labels as its pipeline would put them out, small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmengine.structures import PixelData
from mmseg.datasets.transforms import GenerateEdge, PackSegInputs
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import nn

from provecfg.proof.built import Built
from provecfg.proof.classes import class_of
from provecfg.proof.data.picture_files import declared_bits
from provecfg.proof.image_shape import Size, image_channels
from provecfg.proof.step.config_paths import dicts_of

_BAND = 8
"""One part in so many of the labelled image's width is ignored."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a batch for a config is made of.

    Args:
        classes: Labels go from 0 to `classes` - 1.
        from_dataset: Whether `classes` is the dataset's number; else it is the main head's.
        ignore_index: The label that the main head ignores.
        channels: Of an image.
        sizes: (height, width) in pixels of each image, before the data preprocessor pads.
        missing: A class that no pixel has, or None where there are too few classes to leave one out.
        bits: Of a channel, 8 or 16.
    """

    classes: int
    from_dataset: bool
    ignore_index: int
    channels: int
    sizes: tuple[Size, ...]
    missing: int | None
    bits: int = 8

    def with_classes(self, classes: int) -> BatchPlan:
        """The same with labels of the first few classes alone."""
        return replace(self, classes=classes, missing=_missing(classes, self.ignore_index))


def plan_batch(config: Any, model: nn.Module, built: Built) -> BatchPlan:
    """What a batch for the config looks like: its dataset's classes, its pipeline's sizes at the scale of the crop.

    Args:
        config: The config.
        model: The model of `built`.
        built: What was built of the config.
    """
    head = main_head(model)
    dataset_classes = classes_of_dataset(config)
    classes = dataset_classes or getattr(head, "num_classes", None) or 2
    ignore_index = getattr(head, "ignore_index", 255)
    if not isinstance(ignore_index, int):
        ignore_index = 255
    return BatchPlan(
        classes,
        dataset_classes is not None,
        ignore_index,
        image_channels(model),
        _sizes(built),
        _missing(classes, ignore_index),
        declared_bits(config),
    )


def main_head(model: nn.Module) -> nn.Module | None:
    """The head whose output is the prediction: the last of a cascade."""
    head = getattr(model, "decode_head", None)
    if isinstance(head, nn.ModuleList):
        return head[-1] if len(head) > 0 else None
    return head if isinstance(head, nn.Module) else None


def classes_of_dataset(config: Any) -> int | None:
    """How many classes the training data has, by its class and `metainfo`; None where neither says."""
    counts = [
        count
        for _, part in dicts_of((config.get("train_dataloader") or {}).get("dataset"), "train_dataloader.dataset")
        if (count := _classes_of(part)) is not None
    ]
    return max(counts, default=None)


def _classes_of(part: dict[str, Any]) -> int | None:
    cls = class_of(part, DATASETS)
    if not hasattr(cls, "METAINFO"):
        return None
    meta = part.get("metainfo")
    classes = {**cls.METAINFO, **(meta if isinstance(meta, dict) else {})}.get("classes")
    return len(classes) if isinstance(classes, (list, tuple)) else None


def _sizes(built: Built) -> tuple[Size, ...]:
    """Sizes of the images: all of the crop's, unless the pipeline's own are of sizes that make no batch."""
    images, padded = built.images, built.padded_size
    if images is None or images.batch is not None or padded is None:
        return (built.crop,) * built.batch_size
    scaled = [
        tuple(max(1, round(crop * side / of)) for crop, side, of in zip(built.crop, size, padded, strict=True))
        for size in (images.largest, images.smallest)
    ]
    return tuple((scaled[index % 2][0], scaled[index % 2][1]) for index in range(built.batch_size))


def _missing(classes: int, ignore_index: int) -> int | None:
    if classes < 3:
        return None
    middle = classes // 2
    return middle if middle != ignore_index else middle + 1


def label_map(plan: BatchPlan, size: Size) -> np.ndarray:
    """A (height, width) uint8 or int64 map: a field for each class but the missing one, and an ignored band."""
    height, width = size
    band = max(1, width // _BAND)
    shown = [label for label in range(plan.classes) if label not in (plan.missing, plan.ignore_index)] or [0]
    across = int(np.ceil(np.sqrt(len(shown))))
    down = int(np.ceil(len(shown) / across))
    column = np.minimum(np.arange(width) * across // max(1, width - band), across - 1)
    row = np.minimum(np.arange(height) * down // height, down - 1)
    fields = np.asarray(shown)[(row[:, None] * across + column[None, :]) % len(shown)]
    fields[:, width - band :] = plan.ignore_index
    return fields.astype(np.uint8 if fields.max(initial=0) < 256 and fields.min(initial=0) >= 0 else np.int64)


def ignored_map(plan: BatchPlan, size: Size) -> np.ndarray:
    """A (height, width) map whose pixels are all ignored."""
    label = plan.ignore_index
    return np.full(size, label, dtype=np.uint8 if 0 <= label < 256 else np.int64)


def make_batch(plan: BatchPlan, transforms: Sequence[Any], *, with_ignored_image: bool) -> dict[str, Any]:
    """A batch as the data loader hands it to the model.

    Args:
        plan: What it is made of.
        transforms: Of the training data: what packs a sample, and what makes labels from labels, is taken from them.
        with_ignored_image: Whether the last image has no pixel that is not ignored.

    Returns:
        `inputs`: a list of (C, H, W) uint8 tensors, float32 for 16 bits; `data_samples`: their `SegDataSample`s.
    """
    inputs, samples = [], []
    for index, size in enumerate(plan.sizes):
        is_last = index == len(plan.sizes) - 1
        labels = ignored_map(plan, size) if with_ignored_image and is_last else label_map(plan, size)
        if index % 2:
            labels = labels[:, ::-1]
        packed = _pack(transforms, _image(plan, size, labels, seed=index), np.ascontiguousarray(labels))
        inputs.append(packed["inputs"])
        samples.append(packed["data_samples"])
    return {"inputs": inputs, "data_samples": samples}


def _image(plan: BatchPlan, size: Size, labels: np.ndarray, seed: int) -> np.ndarray:
    """Noise, brighter or darker by the class, so that no two images or places are alike."""
    noise = np.random.default_rng(seed)
    image = noise.integers(0, 200, (*size, plan.channels))
    image = (image + (labels.astype(np.int64) % 7 * 8)[..., None]).astype(np.uint8)
    return image.astype(np.float32) * 257 if plan.bits == 16 else image  # as `to_float32` gives them


def _pack(transforms: Sequence[Any], image: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    size = labels.shape
    data: dict[str, Any] = {
        "img": image,
        "gt_seg_map": labels,
        "seg_fields": ["gt_seg_map"],
        "img_path": "synthetic/image.png",
        "seg_map_path": "synthetic/labels.png",
        "img_shape": size,
        "ori_shape": size,
        "pad_shape": size,
        "scale_factor": (1.0, 1.0),
        "flip": False,
        "flip_direction": None,
        "reduce_zero_label": False,
    }
    if any("depth" in type(transform).__name__.lower() for transform in transforms):
        data["gt_depth_map"] = (1.0 + labels.astype(np.float32) % 10)[...]
        data["seg_fields"].append("gt_depth_map")
    pack = next((transform for transform in transforms if isinstance(transform, PackSegInputs)), PackSegInputs())
    for transform in transforms:
        if isinstance(transform, GenerateEdge):  # labels from labels; all others change the image, or read it
            data = transform(data)
    packed: dict[str, Any] = pack(data)
    sample = packed["data_samples"]
    if not isinstance(sample, SegDataSample) or not isinstance(sample.get("gt_sem_seg"), PixelData):
        raise TypeError(f"{type(pack).__name__} makes no SegDataSample with a gt_sem_seg")
    return packed
