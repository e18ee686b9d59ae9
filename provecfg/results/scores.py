"""Scores from counts. All are in points of 100; a score that the counts do not hold is NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.boundary_bands import FRACTIONS
from provecfg.counts.calibration import CONFIDENCE, CORRECT, PIXELS, UNIT
from provecfg.counts.image import INTERSECTION, LABEL, PREDICTION, Counts
from provecfg.counts.validation import ValidationCounts

Scores = NDArray[np.float64]

RARE_PART: Final = 3
"""Rare are the classes that make up the last such part of the labelled ones, ordered by their labelled pixels."""


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


def pixel_accuracy(counts: ValidationCounts) -> float:
    """Share of all labelled pixels that is predicted right, in points."""
    return float(_share(counts.totals[:, INTERSECTION].sum(), counts.totals[:, LABEL].sum()))


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


@dataclass(frozen=True)
class ValidationScores:
    """What several metrics of a validation are made of, each worked out once.

    Args:
        counts: Of the validation.
    """

    counts: ValidationCounts

    @cached_property
    def class_iou(self) -> Scores:
        """(C,) as the function of that name."""
        return class_iou(self.counts.totals)

    @cached_property
    def image_iou(self) -> Scores:
        """(N,) as the function of that name."""
        return image_iou(self.counts)

    @cached_property
    def band_iou(self) -> Scores:
        """(F, C) Boundary IoU of each class in the bands of `FRACTIONS`; NaN where those were not counted."""
        if len(self.counts.band_sums):
            return class_iou(self.counts.band_sums)
        return np.stack([boundary_iou(self.counts, fraction) for fraction in FRACTIONS])

    @cached_property
    def band_miou(self) -> Scores:
        """(F,) means of `band_iou` over the classes."""
        return np.array([finite_mean(of_band) for of_band in self.band_iou])

    def boundary_miou(self, fraction: float) -> float:
        """Boundary mIoU in the band of a width of `FRACTIONS`."""
        return float(self.band_miou[FRACTIONS.index(fraction)])


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of a validation.

    Args:
        key: Its name in data.
        title: Its name in words.
        definition: What it is, in a sentence.
        of: Its value for a validation, in points; NaN where the counts do not hold it.
        higher_is_better: Its direction.
    """

    key: str
    title: str
    definition: str
    of: Callable[[ValidationScores], float]
    higher_is_better: bool = True

    def score(self, counts: ValidationCounts) -> float:
        """Its value for a validation that nothing else is asked of."""
        return self.of(ValidationScores(counts))


METRICS: Final = (
    Metric(
        "mIoU",
        "mIoU",
        "Mean over classes of the IoU, of pixels summed over all images, as mmseg has it: a class without labels that "
        "is predicted somewhere counts as 0, one that is nowhere is left out.",
        lambda scores: finite_mean(scores.class_iou),
    ),
    Metric(
        "mIoU_labelled",
        "mIoU of labelled classes",
        "The same over the classes that have labels: one without is left out even where it is predicted.",
        lambda scores: finite_mean(scores.class_iou[scores.counts.totals[:, LABEL] > 0]),
    ),
    Metric(
        "boundary_mIoU_0.5",
        "Boundary mIoU, 0.5 %",
        "Mean over classes of the Boundary IoU in bands as wide as 0.5 % of the image's diagonal; classes as for mIoU.",
        lambda scores: scores.boundary_miou(0.005),
    ),
    Metric(
        "boundary_mIoU_2",
        "Boundary mIoU, 2 %",
        "Mean over classes of the Boundary IoU in bands as wide as 2 % of the image's diagonal; classes as for mIoU.",
        lambda scores: scores.boundary_miou(0.02),
    ),
    Metric(
        "mIoU_rare",
        "mIoU of rare classes",
        "Mean IoU of the third of the labelled classes that has the fewest labelled pixels.",
        lambda scores: finite_mean(scores.class_iou[rare_classes(scores.counts)]),
    ),
    Metric(
        "mIoU_image",
        "mIoU per image",
        "Mean over images of the mean over the classes that are labelled in the image (Wang et al. 2023, "
        "arXiv:2310.19252): small objects and odd images count as much as large ones.",
        lambda scores: finite_mean(scores.image_iou),
    ),
    Metric(
        "mAcc",
        "mAcc",
        "Mean over labelled classes of the share of their pixels that is predicted right.",
        lambda scores: finite_mean(class_accuracy(scores.counts.totals)),
    ),
    Metric(
        "aAcc",
        "aAcc",
        "Share of all labelled pixels that is predicted right.",
        lambda scores: pixel_accuracy(scores.counts),
    ),
    Metric(
        "ECE",
        "calibration error",
        "Expected calibration error: how far confidence and share of right predictions are apart, over 15 bins of "
        "confidence, weighted by pixels (Guo et al. 2017, arXiv:1706.04599). Lower is better.",
        lambda scores: calibration_error(scores.counts),
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
