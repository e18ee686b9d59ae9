"""How large the images are that a training pipeline puts out, from what it declares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True, slots=True)
class OutputSizes:
    """The smallest and the largest image that a pipeline puts out.

    Images are taken to have the aspect of the pipeline's `scale`, where it keeps theirs.
    """

    smallest: Size
    largest: Size

    @property
    def is_one_size(self) -> bool:
        """Whether all images have the same size."""
        return self.smallest == self.largest

    def padded_share(self, size: Size) -> float:
        """The share of `size` that is padding, for the smallest image."""
        seen = min(self.smallest[0], size[0]) * min(self.smallest[1], size[1])
        return 1.0 - seen / (size[0] * size[1])


def train_pipeline(config: Any) -> list[Any]:
    """The transforms of the training data, those of datasets inside wrappers before those of the wrappers."""
    dataset = (config.get("train_dataloader") or {}).get("dataset")
    return _pipeline_of(dataset) if isinstance(dataset, dict) else []


def _pipeline_of(dataset: dict[str, Any]) -> list[Any]:
    inner = dataset.get("dataset")
    if inner is None and isinstance(dataset.get("datasets"), (list, tuple)) and dataset["datasets"]:
        inner = dataset["datasets"][0]
    before = _pipeline_of(inner) if isinstance(inner, dict) else []
    return [*before, *(dataset.get("pipeline") or [])]


def output_sizes(pipeline: Iterable[Any]) -> OutputSizes | None:
    """The sizes that a pipeline puts out, or None where they depend on the images."""
    sizes: OutputSizes | None = None
    for step in pipeline:
        if not isinstance(step, dict):
            continue
        kind = str(step.get("type", "")).rpartition(".")[2]
        if kind in ("Resize", "RandomResize", "RandomChoiceResize"):
            sizes = _resized(kind, step)
        elif kind == "RandomCrop" and (crop := _size(step.get("crop_size"))) is not None:
            sizes = _cropped(sizes, crop)
        elif kind == "Pad" and (padded := _size(step.get("size"), width_first=True)) is not None:
            sizes = _padded(sizes, padded)
        elif kind in ("RandomRotate90", "RandomRotate") and sizes is not None and not sizes.is_one_size:
            sizes = None
    return sizes


def _size(value: Any, *, width_first: bool = False) -> Size | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(edge, int) for edge in value):
        return (value[1], value[0]) if width_first else (value[0], value[1])
    return None


def _resized(kind: str, step: dict[str, Any]) -> OutputSizes | None:
    scale = _size(step.get("scale"), width_first=True)  # mmcv's scales are (width, height)
    if kind == "RandomChoiceResize" or scale is None:
        return None
    low, high = step.get("ratio_range") or (1.0, 1.0)
    return OutputSizes(_times(scale, low), _times(scale, high))


def _times(size: Size, factor: float) -> Size:
    return max(1, int(size[0] * factor + 0.5)), max(1, int(size[1] * factor + 0.5))


def _cropped(sizes: OutputSizes | None, crop: Size) -> OutputSizes | None:
    if sizes is None:
        return OutputSizes(crop, crop)
    return OutputSizes(_smaller(sizes.smallest, crop), _smaller(sizes.largest, crop))


def _padded(sizes: OutputSizes | None, padded: Size) -> OutputSizes | None:
    if sizes is None:
        return None
    return OutputSizes(_larger(sizes.smallest, padded), _larger(sizes.largest, padded))


def _smaller(one: Size, other: Size) -> Size:
    return min(one[0], other[0]), min(one[1], other[1])


def _larger(one: Size, other: Size) -> Size:
    return max(one[0], other[0]), max(one[1], other[1])
