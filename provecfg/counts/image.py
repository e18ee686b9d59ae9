"""What is counted of one image: pixels by class, in bands along the boundaries, and by the classes' confusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.boundary_bands import BoundaryConvention, Labels, band_levels, band_widths
from provecfg.counts.calibration import CalibrationCounts

Counts = NDArray[np.int64]

INTERSECTION, PREDICTION, LABEL = range(3)
"""Last axis of regions and bands: pixels that both give to the class, that the prediction does, that the label does."""

_UINT8: Final = 2**8 - 1
_UINT16: Final = 2**16 - 1
_MOST_IN_UINT8: Final = 252
"""Classes in a uint8 beside four more values: no class, ignored, and two of `band_levels`."""
_EXACT_FLOAT32: Final = 2**24


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
    """
    height, width = label.shape
    predicted = _as_classes(prediction, num_classes, None)
    labelled = _as_classes(label, num_classes, ignore_index)
    confusion = _histogram(labelled, predicted, num_classes + 2, num_classes + 1)[: num_classes + 1]
    regions = np.stack([confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)], axis=-1)[:num_classes]
    classes = np.flatnonzero(regions.any(axis=-1))
    codes = np.flatnonzero(confusion)
    widths = () if boundaries is None else band_widths(height, width)
    bands = np.zeros((num_classes, 0, 3), np.int64)
    if boundaries is not None:
        bands = _count_bands(predicted, labelled, num_classes, widths, boundaries)
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


def _count_bands(
    predicted: Labels, labelled: Labels, num_classes: int, widths: tuple[int, ...], convention: BoundaryConvention
) -> Counts:
    """(num_classes, W, 3) pixels in the bands."""
    ignored = labelled == num_classes + 1
    of_prediction = band_levels(predicted, ignored, widths, convention)
    of_label = band_levels(labelled, ignored, widths, convention)
    # A pixel that is not to be counted is put where no band reaches.
    outside = len(widths)
    of_both = np.maximum(of_prediction, of_label)
    np.maximum(of_both, np.multiply(predicted != labelled, outside, dtype=np.uint8), out=of_both)
    np.maximum(of_prediction, np.multiply(ignored, outside, dtype=np.uint8), out=of_prediction)
    by_level = np.stack(
        [
            _histogram(classes, levels, num_classes + 2, outside + 1)
            for classes, levels in ((labelled, of_both), (predicted, of_prediction), (labelled, of_label))
        ],
        axis=-1,
    )
    return by_level[:num_classes, :outside].cumsum(axis=1)


def _as_classes(labels: NDArray[np.integer[Any]], num_classes: int, ignore_index: int | None) -> Labels:
    """The map in the smallest type that holds it: `num_classes` for what is no class, one more for what is ignored.

    The type has room for the two values that `band_levels` wants for itself.
    """
    no_class, ignored = num_classes, num_classes + 1
    if num_classes <= _MOST_IN_UINT8 and labels.min() >= 0 and labels.max() <= _UINT8:
        import cv2

        table = np.full(_UINT8 + 1, no_class, np.uint8)
        table[:num_classes] = np.arange(num_classes)
        if ignore_index is not None and 0 <= ignore_index <= _UINT8:
            table[ignore_index] = ignored
        return np.asarray(cv2.LUT(labels.astype(np.uint8), table), np.uint8)
    classes = np.where((labels >= 0) & (labels < num_classes), labels, no_class)
    if ignore_index is not None:
        classes[labels == ignore_index] = ignored
    return classes.astype(np.uint8 if num_classes <= _MOST_IN_UINT8 else np.uint16)


def _histogram(rows: Labels, columns: Labels, height: int, width: int) -> Counts:
    """(height, width) pixels with each pair of values."""
    bins = height * width
    if bins <= _UINT16 and rows.size < _EXACT_FLOAT32:
        import cv2

        codes = np.multiply(rows, width, dtype=np.uint8 if bins <= _UINT8 else np.uint16)
        codes += columns
        # Three times as fast as np.bincount; it returns float32, which is exact for so few pixels.
        return np.asarray(cv2.calcHist([codes], [0], None, [bins], [0, bins]), np.int64).reshape(height, width)
    codes_of_any_size = rows.astype(np.int64) * width + columns
    return np.bincount(codes_of_any_size.ravel(), minlength=bins).astype(np.int64).reshape(height, width)
