"""How large the images are that the model is trained on: the real pipeline and data preprocessor, on blank images."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
from torch import nn

from provecfg.proof.image_shape import Size, image_channels

_ASPECTS = ((1, 1), (4, 3), (5, 3), (16, 9), (2, 1), (4, 1))
"""Width to height of images that may come, square ones first."""
_SHORT_SIDE, _OTHER_SHORT_SIDE = 1200, 1500
"""Pixels. What comes out for the one and not for the other depends on the images."""
_LABEL_BLOCK = 64
"""Pixels of a side of the fields of two labels, so that a crop that wants more than one label finds them."""
_MIXED = 3
"""Further images that a transform takes which puts several into one."""
_BELOW_ONE = 1 - 2**-53
"""The largest number that is drawn from [0, 1): one that is still below a probability of 1."""


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """Sizes in pixels, (height, width) each, of images whose aspect fits the pipeline best: that fill the most of it.

    Args:
        smallest: The smallest that the pipeline yields.
        largest: The largest.
        batch: Of a batch with both, as the data preprocessor makes it; None where it makes none of images so different.
    """

    smallest: Size
    largest: Size
    batch: Size | None

    @property
    def padded_share(self) -> float:
        """The share of the smallest image in a batch that is padding, in [0, 1]."""
        height, width = self.batch or self.largest
        return 1.0 - min(self.smallest[0], height) * min(self.smallest[1], width) / (height * width)


def training_transforms(dataset: Any) -> list[Any]:
    """The transforms of a built dataset, those of datasets inside wrappers before those of the wrappers."""
    inner = getattr(dataset, "dataset", None)
    if inner is None and getattr(dataset, "datasets", None):
        inner = dataset.datasets[0]
    pipeline = getattr(dataset, "pipeline", None)
    own = getattr(pipeline, "transforms", pipeline)  # a Compose, or a wrapper's plain list
    return [
        *(training_transforms(inner) if inner is not None else ()),
        *(own if isinstance(own, (list, tuple)) else ()),
    ]


def training_images(transforms: Sequence[Any], preprocessor: nn.Module) -> TrainingImages | None:
    """Run the pipeline with the least and with the largest numbers that its transforms may draw.

    Args:
        transforms: Of the training data. Those that load are left out: blank images of several aspects come in.
        preprocessor: The model's.

    Returns:
        None where the sizes depend on the images, or blank images do not come through.
    """
    channels = image_channels(preprocessor)
    try:
        square, other = (
            _extremes(transforms, _ASPECTS[0], side, channels) for side in (_SHORT_SIDE, _OTHER_SHORT_SIDE)
        )
        if [_size(sample) for sample in square] != [_size(sample) for sample in other]:
            return None
        wide = [_extremes(transforms, aspect, _SHORT_SIDE, channels) for aspect in _ASPECTS[1:]]
        smallest, largest = max([square, *wide], key=lambda extremes: (_area(extremes[1]), _area(extremes[0])))
    except Exception:  # of the config's own classes; or a transform that needs more than an image and its labels
        return None
    batch = _batch_size(preprocessor, largest, smallest)
    if batch is None and _batch_size(preprocessor, largest, largest) is None:
        return None  # it is not about their sizes
    return TrainingImages(_size(smallest), _size(largest), batch)


def training_size(preprocessor: Any, images: TrainingImages | None) -> Size | None:
    """(height, width) in pixels of a batch of training; None where neither the images nor the preprocessor say it."""
    if images is not None and images.batch is not None:
        return images.batch
    padded = padded_size(preprocessor)
    if images is None or padded is None:
        return padded
    return max(padded[0], images.largest[0]), max(padded[1], images.largest[1])


def padded_size(preprocessor: Any) -> Size | None:
    """(height, width) in pixels that a data preprocessor pads images to, or None where it has no such size."""
    size = getattr(preprocessor, "size", None)
    if isinstance(size, (tuple, list)) and len(size) == 2:
        return int(size[0]), int(size[1])
    return None


def _extremes(transforms: Sequence[Any], aspect: tuple[int, int], short_side: int, channels: int) -> tuple[Any, Any]:
    """The packed samples of the smallest and of the largest image that are made of one of this aspect."""
    samples = []
    for is_highest in (False, True):
        with _draws(is_highest=is_highest):
            samples.append(_run(transforms, aspect, short_side, channels))
    smallest, largest = sorted(samples, key=_area)
    return smallest, largest


def _run(transforms: Sequence[Any], aspect: tuple[int, int], short_side: int, channels: int) -> Any:
    unit = short_side // aspect[1]
    size = aspect[1] * unit, aspect[0] * unit
    rows, columns = ((np.arange(side) // _LABEL_BLOCK % 2).astype(np.uint8) for side in size)
    data: Any = {
        "img": np.zeros((*size, channels), np.uint8),
        "gt_seg_map": rows[:, None] ^ columns[None, :],
        "seg_fields": ["gt_seg_map"],
        "img_path": "blank.png",
        "seg_map_path": "blank.png",
        "img_shape": size,
        "ori_shape": size,
        "reduce_zero_label": False,
    }
    for transform in transforms:
        if any(cls.__module__.rpartition(".")[2].startswith("loading") for cls in type(transform).__mro__):
            continue
        if hasattr(transform, "get_indices"):
            data["mix_results"] = [copy.deepcopy(data) for _ in range(_MIXED)]
        data = transform(data)
    return data


def _size(sample: Any) -> Size:
    return int(sample["inputs"].shape[-2]), int(sample["inputs"].shape[-1])


def _area(sample: Any) -> int:
    height, width = _size(sample)
    return height * width


def _batch_size(preprocessor: nn.Module, *samples: Any) -> Size | None:
    """(height, width) of the batch that the data preprocessor makes of samples; None where it makes none."""
    batch = {name: [copy.deepcopy(sample[name]) for sample in samples] for name in ("inputs", "data_samples")}
    try:
        inputs = preprocessor(batch, True)["inputs"]
        return int(inputs.shape[-2]), int(inputs.shape[-1])
    except Exception:  # the config's class
        return None


@contextlib.contextmanager
def _draws(*, is_highest: bool) -> Iterator[None]:
    """Let numpy draw the least, or the largest, of what it may."""

    def drawn(low: Any, high: Any, size: Any = None) -> Any:
        value = high if is_highest else low
        return value if size is None else np.full(size, value)

    def random_sample(size: Any = None) -> Any:
        return drawn(0.0, 1.0, size)  # the limit: mmcv multiplies scales by it, and rounds down

    def rand(*size: int) -> Any:
        return drawn(0.0, _BELOW_ONE, size or None)

    def uniform(low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return drawn(low, high, size)

    def randint(low: int, high: int | None = None, size: Any = None, dtype: Any = int) -> Any:
        return drawn(0, low - 1, size) if high is None else drawn(low, high - 1, size)

    def choice(options: Any, size: Any = None, replace: bool = True, p: Any = None) -> Any:
        options = list(range(options)) if isinstance(options, int) else list(options)
        possible = [option for index, option in enumerate(options) if p is None or p[index] > 0]
        return drawn(possible[0], possible[-1], size)

    functions: dict[str, Any] = {"random": random_sample, "random_sample": random_sample, "rand": rand}
    functions |= {"uniform": uniform, "randint": randint, "choice": choice}
    with mock.patch.multiple(np.random, **functions):
        yield
