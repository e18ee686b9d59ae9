from __future__ import annotations

import numpy as np

from provecfg.counts.calibration import BINS, UNIT, count_calibration


def counted(confidence, prediction, label):
    counts = count_calibration(
        np.asarray(confidence, np.float32),
        np.asarray(prediction),
        np.asarray(label),
        num_classes=3,
        ignore_index=255,
        source="softmax of the logits",
    )
    return dict(zip(counts.codes.tolist(), counts.values.tolist(), strict=True))


def test_pixels_are_sorted_by_class_and_confidence() -> None:
    assert counted([1.0, 0.99, 0.5, 0.4], [2, 2, 2, 0], [2, 1, 255, 0]) == {
        2 * BINS + BINS - 1: [2, 1, round(1.99 * UNIT)],
        0 * BINS + 5: [1, 1, 400_000],
    }


def test_no_confidence_and_full_confidence_have_a_bin() -> None:
    assert list(counted([0.0], [0], [0])) == [0]
    assert list(counted([1.0], [0], [0])) == [BINS - 1]


def test_what_is_no_number_or_no_class_is_left_out() -> None:
    assert counted([np.nan, 0.5, 0.5], [0, 0, 0], [0, 7, 0]) == {7: [1, 1, 500_000]}
