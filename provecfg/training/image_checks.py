"""What a training pipeline makes of images whose depth or size is other than it was written for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any, Final

from provecfg.data.records import ImageRecord
from provecfg.findings import Finding
from provecfg.training.problems import DEEP_IMAGES, ENLARGED_IMAGES

_MUCH_ENLARGED: Final = 2.0  # times, on each side


def check_images(key: str, dataset: Mapping[str, Any], images: Mapping[str, ImageRecord]) -> Iterator[Finding]:
    """What is lost or made up when the images of a dataset are loaded and resized.

    Args:
        key: The dataset's dotted path in the config.
        dataset: Its part of the config, with the pipeline that its images go through.
        images: Their records, by name.
    """
    readable = {name: record for name, record in images.items() if not record.problem}
    steps = [step for step in dataset.get("pipeline") or [] if isinstance(step, Mapping)]
    yield from _deep(f"{key}.pipeline", steps, readable)
    if not key.startswith("train_dataloader"):
        return  # whole images are validated: nothing is cut off, and labels keep their size
    crop = next((index for index, step in enumerate(steps) if "Crop" in _kind(step)), 0)
    for index, step in enumerate(steps[:crop]):
        factors = {name: factor for name, record in readable.items() if (factor := enlargement(step, record.size))}
        if factors:
            yield from _enlarged(f"{key}.pipeline[{index}]", step, factors, readable)
            return  # a later resize sees other sizes than the files'


def _deep(key: str, steps: Sequence[Mapping[str, Any]], images: Mapping[str, ImageRecord]) -> Iterator[Finding]:
    loader = next((step for step in steps if _kind(step) == "LoadImageFromFile"), None)
    # cv2 alone is known to shift; `unchanged` keeps the bits
    if loader is None or loader.get("imdecode_backend", "cv2") != "cv2" or loader.get("color_type", "color") != "color":
        return
    deep = [name for name, record in images.items() if record.bits == 16]
    if deep:
        yield Finding(
            DEEP_IMAGES,
            f"{len(deep)} of {len(images)} images have 16 bits a channel, of which the upper 8 are read: {deep[0]!r}",
            key,
            hint="images of 12 bits in 16 become nearly black: convert them to 8 bits first",
        )


def _enlarged(
    key: str, step: Mapping[str, Any], factors: Mapping[str, float], images: Mapping[str, ImageRecord]
) -> Iterator[Finding]:
    typical = median(factors.values())
    if typical < _MUCH_ENLARGED:
        return
    name = min(factors, key=lambda name: abs(factors[name] - typical))
    width, height = images[name].size
    yield Finding(
        ENLARGED_IMAGES,
        f"{_kind(step)} makes images {typical:.3g} times as large before they are cropped, and {name!r} is "
        f"{width}x{height}",
        key,
        hint=f"set its scale to their own size, ({width}, {height}); in a study it is the dataset's resize_scale",
    )


def enlargement(step: Mapping[str, Any], size: tuple[int, int]) -> float | None:
    """How many times as large a resizing transform makes an image, at its middle; None where it is no such.

    Args:
        step: A transform of a pipeline.
        size: (width, height) of the image.

    Source: mmcv 2.1.0, transforms/processing.py and image/geometric.py, `rescale_size`; mmseg 1.2.2,
    datasets/transforms/transforms.py, `ResizeShortestEdge`.
    """
    kind, scale = _kind(step), step.get("scale")
    short, long = sorted(size)
    if not short:
        return None
    if kind in ("Resize", "RandomResize") and _is_size(scale):
        assert scale is not None
        drawn = step.get("ratio_range", (1.0, 1.0)) if kind == "RandomResize" else (1.0, 1.0)
        if not (isinstance(drawn, Sequence) and drawn and all(isinstance(ratio, (int, float)) for ratio in drawn)):
            return None
        if step.get("keep_ratio", False):
            return fmean(drawn) * min(max(scale) / long, min(scale) / short)
        return fmean(drawn) * min(scale[0] / size[0], scale[1] / size[1])
    edges = step.get("scales") if kind == "RandomChoiceResize" else scale if kind == "ResizeShortestEdge" else None
    edges = [edges] if isinstance(edges, int) else edges
    if isinstance(edges, Sequence) and edges and all(isinstance(edge, int) for edge in edges):
        most = step.get("max_size")
        factor = median(edges) / short
        return min(factor, most / long) if isinstance(most, int) else factor
    return None


def _is_size(scale: Any) -> bool:
    return isinstance(scale, Sequence) and len(scale) == 2 and all(isinstance(side, int) for side in scale)


def _kind(step: Mapping[str, Any]) -> str:
    return str(step.get("type")).rpartition(".")[2]
