"""What is counted of one image: pixels by class, in bands along the boundaries, and by the classes' confusion."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.boundary_bands import BoundaryConvention, Labels, band_levels, band_widths
from provecfg.counts.calibration import CalibrationCounts
from provecfg.counts.scratch import Scratch

Counts = NDArray[np.int64]

INTERSECTION, PREDICTION, LABEL = range(3)
"""Last axis of regions and bands: pixels that both give to the class, that the prediction does, that the label does."""

_Strip = tuple[slice, NDArray[np.uint8], NDArray[np.uint8]]
"""Rows of a map, and the `band_levels` of prediction and label there."""
_UINT8: Final = 2**8 - 1
_UINT16: Final = 2**16 - 1
_MOST_IN_UINT8: Final = 252
"""Classes in a uint8 beside four more values: no class, ignored, and two of `band_levels`."""
_EXACT_FLOAT32: Final = 2**24
_STRIP_PIXELS: Final = 3 * 2**18
_FEWEST_ROWS: Final = 64
"""Of a strip; the widest band is looked for on both sides of it."""


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """The counts of one image. Pixels with the ignored label are in none of them.

    Args:
        name: The image's file, as the dataset names it.
        height, width: Of the label map, in pixels.
        classes: (K,) the classes that occur in the prediction or the label.
        regions: (K, 3) pixels of each: intersection, prediction, label.
        band_widths: In pixels, W of them; none where boundaries were not counted.
        bands: (K, W, 3) the same of the pixels in the band of their own map; an intersection is in both bands.
        confusion_codes: (M,) label * (number of classes + 1) + prediction, where a label or a prediction that is no
            class counts as one more.
        confusion_counts: (M,) pixels of each.
        calibration: How often the prediction was right, by its confidence; None where no scores were there.
    """

    name: str
    height: int
    width: int
    classes: NDArray[np.int64]
    regions: Counts
    band_widths: tuple[int, ...]
    bands: Counts
    confusion_codes: NDArray[np.int64]
    confusion_counts: Counts
    calibration: CalibrationCounts | None = None


def count_image(
    prediction: NDArray[np.integer[Any]],
    label: NDArray[np.integer[Any]],
    *,
    num_classes: int,
    ignore_index: int,
    boundaries: BoundaryConvention | None,
    name: str = "",
    scratch: Scratch | None = None,
) -> ImageCounts:
    """Count an image.

    Intersection, prediction and label are those of mmseg's `IoUMetric.intersect_and_union`: a label that is no class
    and not ignored belongs to no class, while what is predicted there counts for the predicted class.

    Args:
        prediction: (H, W), in [0, num_classes).
        label: (H, W), in [0, num_classes) or `ignore_index`.
        num_classes: At least 1.
        ignore_index: The label that is left out.
        boundaries: What a boundary is; None to count none.
        name: The image's.
        scratch: Memory to work in, for those who count many images.
    """
    height, width = label.shape
    scratch = scratch or Scratch()
    kind = np.uint8 if num_classes <= _MOST_IN_UINT8 else np.uint16
    predicted, labelled = (scratch.array(which, label.shape, kind) for which in ("predicted", "labelled"))
    for rows in _strips(height, width):
        _to_classes(prediction[rows], num_classes, None, predicted[rows], scratch)
        _to_classes(label[rows], num_classes, ignore_index, labelled[rows], scratch)
    widths = () if boundaries is None else band_widths(height, width)
    if boundaries is None:
        confusion, bands = (
            _confusion(predicted, labelled, num_classes, scratch),
            np.zeros((num_classes, 0, 3), np.int64),
        )
    else:
        confusion, bands = _count_bands(predicted, labelled, num_classes, widths, boundaries, scratch)
    regions = np.stack([confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)], axis=-1)[:num_classes]
    classes = np.flatnonzero(regions.any(axis=-1))
    codes = np.flatnonzero(confusion)
    return ImageCounts(
        name=name,
        height=height,
        width=width,
        classes=classes,
        regions=regions[classes],
        band_widths=widths,
        bands=bands[classes],
        confusion_codes=codes,
        confusion_counts=confusion.ravel()[codes],
    )


def _strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a map in parts that stay in the processor's cache."""
    rows = max(_FEWEST_ROWS, _STRIP_PIXELS // max(1, width))
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def _confusion(predicted: Labels, labelled: Labels, num_classes: int, scratch: Scratch) -> Counts:
    """(num_classes + 1, num_classes + 1) pixels by label and prediction, without the ignored."""
    confusion = np.zeros((num_classes + 2, num_classes + 1), np.int64)
    for rows in _strips(*labelled.shape):
        confusion += _histogram((labelled[rows], predicted[rows]), confusion.shape, scratch)
    return confusion[: num_classes + 1]


def _count_bands(
    predicted: Labels,
    labelled: Labels,
    num_classes: int,
    widths: tuple[int, ...],
    convention: BoundaryConvention,
    scratch: Scratch,
) -> tuple[Counts, Counts]:
    """`_confusion`, and (num_classes, W, 3) pixels in the bands."""
    levels = len(widths) + 1
    strips = _levels(predicted, labelled, num_classes, widths, convention, scratch)
    if (num_classes + 2) * (num_classes + 1) * levels**2 > _UINT16:
        confusion = _confusion(predicted, labelled, num_classes, scratch)
        return confusion, _bands(predicted, labelled, num_classes, levels, strips, scratch)
    pixels = np.zeros((num_classes + 2, num_classes + 1, levels, levels), np.int64)
    for rows, of_prediction, of_label in strips:
        # Two maps of 8 bits are put together faster than either is with one of 16.
        both = np.multiply(of_prediction, np.uint8(levels), out=scratch.array("both", of_label.shape, np.uint8))
        both += of_label
        sides = (num_classes + 2, num_classes + 1, levels**2)
        pixels += _histogram((labelled[rows], predicted[rows], both), sides, scratch).reshape(pixels.shape)
    return _sums(pixels[: num_classes + 1])


def _sums(pixels: Counts) -> tuple[Counts, Counts]:
    """(C + 1, C + 1) confusion, and (C, W, 3) pixels in the bands.

    Args:
        pixels: (C + 1, C + 1, W + 1, W + 1) by label, prediction, and the levels of prediction and label.
    """
    classes = np.arange(len(pixels) - 1)
    # A pixel is in the bands of both maps from the level on at which it is in that of the second.
    agreeing = pixels[classes, classes].cumsum(axis=1).cumsum(axis=2)
    bands = [
        agreeing.diagonal(axis1=1, axis2=2),
        pixels.sum(axis=(0, 3))[:-1].cumsum(axis=1),
        pixels.sum(axis=(1, 2))[:-1].cumsum(axis=1),
    ]
    return pixels.sum(axis=(2, 3)), np.stack(bands, axis=-1)[:, :-1]


def _levels(
    predicted: Labels,
    labelled: Labels,
    num_classes: int,
    widths: tuple[int, ...],
    convention: BoundaryConvention,
    scratch: Scratch,
) -> Iterator[_Strip]:
    """The strips of both maps."""
    height, width = labelled.shape
    halo = max(widths)
    for rows in _strips(height, width):
        # What is further away than the widest band changes nothing in it, nor does an end of the map that is.
        seen = slice(max(0, rows.start - halo), min(height, rows.stop + halo))
        inner = slice(rows.start - seen.start, rows.stop - seen.start)
        shape = labelled[seen].shape
        ignored = np.equal(labelled[seen], num_classes + 1, out=scratch.array("ignored", shape, np.bool_))
        of_prediction = band_levels(predicted[seen], ignored, widths, convention, scratch, "of prediction", inner)
        of_label = band_levels(labelled[seen], ignored, widths, convention, scratch, "of label", inner)
        yield rows, of_prediction, of_label


def _bands(
    predicted: Labels,
    labelled: Labels,
    num_classes: int,
    levels: int,
    strips: Iterable[_Strip],
    scratch: Scratch,
) -> Counts:
    """(num_classes, W, 3) pixels in the bands, where there are too many classes for one histogram of all."""
    shape, outside = (num_classes + 2, levels), np.uint8(levels - 1)
    by_level = np.zeros((*shape, 3), np.int64)
    for rows, of_prediction, of_label in strips:
        own_predicted, own_labelled = predicted[rows], labelled[rows]
        # A pixel that is not to be counted is put where no band reaches.
        nowhere = scratch.array("nowhere", own_labelled.shape, np.uint8)
        of_both = np.maximum(of_prediction, of_label, out=scratch.array("both", own_labelled.shape, np.uint8))
        np.maximum(of_both, np.multiply(own_predicted != own_labelled, outside, out=nowhere), out=of_both)
        np.multiply(own_labelled == num_classes + 1, outside, out=nowhere)
        np.maximum(of_prediction, nowhere, out=of_prediction)
        pairs = ((own_labelled, of_both), (own_predicted, of_prediction), (own_labelled, of_label))
        for index, pair in enumerate(pairs):
            by_level[..., index] += _histogram(pair, shape, scratch)
    return by_level[:num_classes, :-1].cumsum(axis=1)


def _to_classes(
    labels: NDArray[np.integer[Any]], num_classes: int, ignore_index: int | None, classes: Labels, scratch: Scratch
) -> None:
    """Write a map with `num_classes` for what is no class, and one more for what is ignored.

    The type of `classes` has room for these, and for the two values that `band_levels` wants for itself.
    """
    no_class, ignored = num_classes, num_classes + 1
    # As an unsigned number, one below 0 is larger than any of 8 bits.
    if classes.dtype == np.uint8 and labels.view(np.dtype(f"u{labels.itemsize}")).max() <= _UINT8:
        import cv2

        table = np.full(_UINT8 + 1, no_class, np.uint8)
        table[:num_classes] = np.arange(num_classes)
        if ignore_index is not None and 0 <= ignore_index <= _UINT8:
            table[ignore_index] = ignored
        narrow = scratch.array("narrow", labels.shape, np.uint8)
        np.copyto(narrow, labels, casting="unsafe")
        cv2.LUT(narrow, table, dst=classes)
        return
    told = np.where((labels >= 0) & (labels < num_classes), labels, no_class)
    if ignore_index is not None:
        told[labels == ignore_index] = ignored
    np.copyto(classes, told, casting="unsafe")


def _histogram(parts: Sequence[Labels], shape: tuple[int, ...], scratch: Scratch) -> Counts:
    """Pixels with each combination of values.

    Args:
        parts: Maps of the same size.
        shape: Of the result: how many values each of them may have.
        scratch: Memory to work in.
    """
    first, *others = parts
    bins = math.prod(shape)
    if bins <= _UINT16 and first.size < _EXACT_FLOAT32:
        import cv2

        kind = np.uint8 if bins <= _UINT8 else np.uint16
        codes = scratch.array("codes", first.shape, kind)
        np.copyto(codes, first)
        for part, size in zip(others, shape[1:], strict=True):
            codes *= kind(size)
            codes += part
        # Three times as fast as np.bincount; it returns float32, which is exact for so few pixels.
        return np.asarray(cv2.calcHist([codes], [0], None, [bins], [0, bins]), np.int64).reshape(shape)
    codes_of_any_size = first.astype(np.int64)
    for part, size in zip(others, shape[1:], strict=True):
        codes_of_any_size = codes_of_any_size * size + part
    return np.bincount(codes_of_any_size.ravel(), minlength=bins).astype(np.int64).reshape(shape)
