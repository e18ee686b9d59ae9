"""Scores from counts. All are in points of 100; a score that the counts do not hold is NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.calibration import CONFIDENCE, CORRECT, PIXELS, UNIT
from provecfg.counts.image import INTERSECTION, LABEL, PREDICTION, Counts
from provecfg.counts.validation import ValidationCounts

Scores = NDArray[np.float64]

RARE_PART: Final = 3
"""Rare are the classes that make up the last such part of the labelled ones, ordered by their labelled pixels."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of a validation.

    Args:
        key: Its name in data.
        title: Its name in words.
        definition: What it is, in a sentence.
        score: Its value for a validation, in points; NaN where the counts do not hold it.
        higher_is_better: Its direction.
    """

    key: str
    title: str
    definition: str
    score: Callable[[ValidationCounts], float]
    higher_is_better: bool = True


def class_iou(counts: Counts) -> Scores:
    """(..., C) intersection over union of each class, in points; NaN for a class that neither side has.

    Args:
        counts: (..., C, 3) pixels: intersection, prediction, label.
    """
    union = counts[..., PREDICTION] + counts[..., LABEL] - counts[..., INTERSECTION]
    return _share(counts[..., INTERSECTION], union)


def class_accuracy(counts: Counts) -> Scores:
    """(..., C) share of a class's labelled pixels that are predicted right, in points; NaN for one without labels."""
    return _share(counts[..., INTERSECTION], counts[..., LABEL])


def boundary_iou(counts: ValidationCounts, fraction: float) -> Scores:
    """(C,) Boundary IoU of each class in the band of a width of `FRACTIONS`, in points; NaN as `class_iou`."""
    band = counts.band_totals(fraction)
    return np.full(len(counts.classes), np.nan) if band is None else class_iou(band)


def image_iou(counts: ValidationCounts) -> Scores:
    """(N,) mean IoU of each image over the classes that are labelled in it, in points; NaN where none is."""
    labelled = counts.regions[:, LABEL] > 0
    image = counts.image_of_row[labelled]
    total = np.bincount(image, class_iou(counts.regions[labelled]), minlength=counts.num_images)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.bincount(image, minlength=counts.num_images))


def rare_classes(counts: ValidationCounts) -> NDArray[np.intp]:
    """The rarest third of the labelled classes, rarest first; one at least if any is labelled."""
    pixels = counts.totals[:, LABEL]
    labelled = np.argsort(pixels, kind="stable")[(pixels == 0).sum() :]
    return labelled[: math.ceil(len(labelled) / RARE_PART)]


def calibration_error(counts: ValidationCounts) -> float:
    """Expected calibration error of the predicted class's confidence, in points (Guo et al. 2017, eq. 3)."""
    bins = counts.calibration.sum(axis=0) if len(counts.calibration) else np.zeros((1, 3), np.int64)
    gaps = np.abs(bins[:, CORRECT] - bins[:, CONFIDENCE] / UNIT)
    return float(_share(gaps.sum(), bins[:, PIXELS].sum()))


def _mmseg_mean(counts: ValidationCounts) -> float:
    return finite_mean(class_iou(counts.totals))


def _labelled_mean(counts: ValidationCounts) -> float:
    return finite_mean(class_iou(counts.totals)[counts.totals[:, LABEL] > 0])


def _boundary_mean(fraction: float) -> Callable[[ValidationCounts], float]:
    return lambda counts: finite_mean(boundary_iou(counts, fraction))


METRICS: Final = (
    Metric(
        "mIoU",
        "mIoU",
        "Mean over classes of the IoU, of pixels summed over all images, as mmseg has it: a class without labels that "
        "is predicted somewhere counts as 0, one that is nowhere is left out.",
        _mmseg_mean,
    ),
    Metric(
        "mIoU_labelled",
        "mIoU of labelled classes",
        "The same over the classes that have labels: one without is left out even where it is predicted.",
        _labelled_mean,
    ),
    Metric(
        "boundary_mIoU_0.5",
        "Boundary mIoU, 0.5 %",
        "Mean over classes of the Boundary IoU in bands as wide as 0.5 % of the image's diagonal; classes as for mIoU.",
        _boundary_mean(0.005),
    ),
    Metric(
        "boundary_mIoU_2",
        "Boundary mIoU, 2 %",
        "Mean over classes of the Boundary IoU in bands as wide as 2 % of the image's diagonal; classes as for mIoU.",
        _boundary_mean(0.02),
    ),
    Metric(
        "mIoU_rare",
        "mIoU of rare classes",
        "Mean IoU of the third of the labelled classes that has the fewest labelled pixels.",
        lambda counts: finite_mean(class_iou(counts.totals)[rare_classes(counts)]),
    ),
    Metric(
        "mIoU_image",
        "mIoU per image",
        "Mean over images of the mean over the classes that are labelled in the image (Wang et al. 2023, "
        "arXiv:2310.19252): small objects and odd images count as much as large ones.",
        lambda counts: finite_mean(image_iou(counts)),
    ),
    Metric(
        "mAcc",
        "mAcc",
        "Mean over labelled classes of the share of their pixels that is predicted right.",
        lambda counts: finite_mean(class_accuracy(counts.totals)),
    ),
    Metric(
        "aAcc",
        "aAcc",
        "Share of all labelled pixels that is predicted right.",
        lambda counts: float(_share(counts.totals[:, INTERSECTION].sum(), counts.totals[:, LABEL].sum())),
    ),
    Metric(
        "ECE",
        "calibration error",
        "Expected calibration error: how far confidence and share of right predictions are apart, over 15 bins of "
        "confidence, weighted by pixels (Guo et al. 2017, arXiv:1706.04599). Lower is better.",
        calibration_error,
        higher_is_better=False,
    ),
)
"""What a validation is judged by."""
METRIC: Final = {metric.key: metric for metric in METRICS}


def _share(part: Any, whole: Any) -> Scores:
    """100 * part / whole, NaN where there is no whole."""
    whole = np.asarray(whole, np.float64)
    share = np.full(whole.shape, np.nan)
    np.divide(100.0 * np.asarray(part, np.float64), whole, out=share, where=whole != 0)
    return share


def finite_mean(values: Scores) -> float:
    """The mean of what is not NaN; NaN if there is nothing."""
    finite = values[np.isfinite(values)]
    return float(finite.sum() / finite.size) if finite.size else math.nan
