"""How much of a training image is padding, estimated from the pipeline and the data preprocessor."""

from __future__ import annotations

from typing import NamedTuple

from provecfg.facts.data import Dataset, Loader, keeps_size, pair
from provecfg.facts.lookup import Lookup
from provecfg.mmconfig import Node


class Padding(NamedTuple):
    """Of the images that the model is trained on.

    Args:
        height, width: Their size, in pixels.
        worst: Largest share of padding in one image, in [0, 1].
        least: Share of padding that every image has at least, in [0, 1].
    """

    height: int
    width: int
    worst: float
    least: float


def padding_of(preprocessor: Node | None, train: Loader | None) -> Padding | None:
    """The padding that SegDataPreProcessor adds to training images, or None where the config does not tell."""
    size = pair(Lookup.value(preprocessor, "size"))
    if size is None or train is None:
        return None
    height, width = size
    worst = least = 0.0
    for dataset in train.datasets:
        smallest, crop = _smallest(dataset), dataset.transform("RandomCrop")
        cropped = pair(crop.value.get("crop_size")) if crop is not None else None
        if smallest is not None:
            worst = max(worst, 1 - _filled(smallest, size))
        if cropped is not None and dataset.transform("Pad", "RandomMosaic", "Albu") is None:
            least = max(least, 1 - _filled(cropped, size))
    return Padding(height, width, worst, least) if worst else None


def smaller_than_crop(dataset: Dataset, size: tuple[int, int]) -> tuple[Node, Node, float] | None:
    """The resize that leaves every image smaller than the crop behind it, the crop, and what share it leaves empty.

    Of an image that keeps its ratio, the shorter side is at most the scale's shorter, and the longer at most its
    longer; None where that may fill the crop, all but a hundredth, or the config does not tell.

    Args:
        dataset: Where the pipeline is.
        size: (height, width) that images are padded to; what is not padded to the crop's has no empty pixels.
    """
    shaping = [node for node in dataset.transforms if not keeps_size(node)]
    if [node.type for node in shaping] not in (["Resize", "RandomCrop"], ["RandomResize", "RandomCrop"]):
        return None
    resize, crop = shaping
    scale, cropped = pair(resize.value.get("scale")), pair(crop.value.get("crop_size"))
    ratios = resize.value.get("ratio_range", ()) if resize.type == "RandomResize" else (1.0, 1.0)
    if resize.value.get("keep_ratio") is not True or scale is None or cropped is None:
        return None
    if resize.value.get("resize_type", "Resize") != "Resize" or size[0] < cropped[0] or size[1] < cropped[1]:
        return None
    if not isinstance(ratios, (list, tuple)) or len(ratios) != 2 or not isinstance(ratios[1], (int, float)):
        return None
    short, long = min(scale) * ratios[1], max(scale) * ratios[1]
    empty = 1 - max(_filled((short, long), cropped), _filled((long, short), cropped))
    return (resize, crop, empty) if empty > 0.01 else None


def _filled(image: tuple[float, float], size: tuple[int, int]) -> float:
    return min(image[0], size[0]) * min(image[1], size[1]) / (size[0] * size[1])


def _smallest(dataset: Dataset) -> tuple[float, float] | None:
    """(height, width) of the smallest image that leaves the pipeline."""
    if dataset.transform("Pad", "RandomMosaic", "Albu") is not None:
        return None
    smallest: tuple[float, float] | None = None
    resize = dataset.transform("RandomResize")
    if resize is not None:
        scale, ratios = pair(resize.value.get("scale")), resize.value.get("ratio_range")
        if scale and isinstance(ratios, (list, tuple)) and ratios and isinstance(ratios[0], (int, float)):
            smallest = (min(scale) * ratios[0], max(scale) * ratios[0])  # scale is (width, height), either way round
    crop = dataset.transform("RandomCrop")
    cropped = pair(crop.value.get("crop_size")) if crop is not None else None
    if cropped is None:
        return smallest
    if smallest is None:
        return cropped
    return min(smallest[0], cropped[0]), min(smallest[1], cropped[1])
