"""How often a prediction was right, by its confidence: the counts behind a reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15
"""Equal parts of the confidences from 0 to 1, as in Guo et al. 2017 (arXiv:1706.04599), section 5."""
UNIT: Final = 1_000_000
"""Confidences are summed in millionths, as integers: a sum that is the same in every order."""
PIXELS, CORRECT, CONFIDENCE = range(3)
"""Last axis: pixels, those that are right, and the sum of the confidences in millionths."""

LOGITS: Final = "softmax of the logits"
SCORES: Final = "scores divided by their sum"
BINARY: Final = "probability of the second class"


@dataclass(frozen=True, slots=True)
class CalibrationCounts:
    """The counts of one image, on a grid of its pixels.

    Args:
        source: What the confidences are.
        codes: (M,) predicted class * `BINS` + bin.
        values: (M, 3) pixels, correct, confidence.
    """

    source: str
    codes: NDArray[np.int64]
    values: NDArray[np.int64]


def count_calibration(
    confidence: NDArray[np.floating[Any]],
    prediction: NDArray[np.integer[Any]],
    label: NDArray[np.integer[Any]],
    *,
    num_classes: int,
    ignore_index: int,
    source: str,
) -> CalibrationCounts:
    """Count pixels by predicted class and confidence.

    Args:
        confidence: Of the predicted class, any shape, in [0, 1].
        prediction, label: Of the same shape.
        num_classes: Pixels of which label or prediction is no class are left out.
        ignore_index: The label that is left out.
        source: What the confidences are.
    """
    # NaN is in no bin.
    counted = (label != ignore_index) & (label >= 0) & (label < num_classes) & np.isfinite(confidence)
    counted &= (prediction >= 0) & (prediction < num_classes)
    confidence, prediction, label = confidence[counted], prediction[counted].astype(np.int64), label[counted]
    # Bins are open below and closed above, so that a confidence of 1 is in the last.
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    codes = prediction * BINS + bins
    millionths = np.rint(confidence.astype(np.float64) * UNIT)
    size = num_classes * BINS
    # Sums of whole numbers below 2**53 are exact in float64.
    values = np.stack(
        [np.bincount(codes, weights, size) for weights in (None, prediction == label, millionths)], axis=-1
    ).astype(np.int64)
    present = np.flatnonzero(values[:, PIXELS])
    return CalibrationCounts(source, present, values[present])
