from __future__ import annotations

import numpy as np
import pytest

from provecfg.counts.calibration import BINS, CalibrationCounts
from provecfg.counts.image import ImageCounts
from provecfg.counts.validation import ValidationCounts, validation_counts
from provecfg.results.scores import (
    METRICS,
    boundary_iou,
    calibration_error,
    class_accuracy,
    class_iou,
    image_iou,
    rare_classes,
)

SCORE = {metric.key: metric.score for metric in METRICS}
CLASSES = 9


def image(name: str, regions: dict[int, tuple[int, int, int]], calibration: CalibrationCounts | None = None):
    """An image with intersection, prediction and label of its classes; what is wrong is confused with no class."""
    classes = np.array(sorted(regions))
    rows = np.array([regions[index] for index in classes])
    intersection, prediction, label = rows.T
    side, none = CLASSES + 1, CLASSES
    codes = [classes * side + classes, classes * side + none, none * side + classes]
    pixels = [intersection, label - intersection, prediction - intersection]
    no_bands = np.zeros((len(classes), 0, 3), np.int64)
    return ImageCounts(
        name, 10, 10, classes, rows, (), no_bands, np.concatenate(codes), np.concatenate(pixels), calibration
    )


def counted(*images: ImageCounts) -> ValidationCounts:
    names = [f"class {index}" for index in range(CLASSES)]
    return validation_counts(images, classes=names, ignore_index=255, boundaries=None)


# Class 2 is predicted and never labelled, the others after it are neither.
TWO_IMAGES = counted(
    image("a", {0: (50, 60, 60), 1: (10, 20, 40), 2: (0, 20, 0)}), image("b", {0: (90, 100, 90), 1: (0, 0, 10)})
)


def test_iou_of_each_class() -> None:
    iou, accuracy = class_iou(TWO_IMAGES.totals), class_accuracy(TWO_IMAGES.totals)
    assert iou[:3] == pytest.approx([100 * 140 / 170, 100 * 10 / 60, 0])
    assert accuracy[:2] == pytest.approx([100 * 140 / 150, 20])
    assert np.isnan(iou[3:]).all()
    assert np.isnan(accuracy[2:]).all()


def test_an_absent_class_that_is_predicted_counts_in_one_convention_alone() -> None:
    first, second = 100 * 140 / 170, 100 * 10 / 60
    assert SCORE["mIoU"](TWO_IMAGES) == pytest.approx((first + second + 0) / 3)
    assert SCORE["mIoU_labelled"](TWO_IMAGES) == pytest.approx((first + second) / 2)


def test_per_image_scores_leave_out_what_an_image_does_not_show() -> None:
    assert image_iou(TWO_IMAGES) == pytest.approx([(100 * 50 / 70 + 20) / 2, 45])
    assert SCORE["mIoU_image"](TWO_IMAGES) == pytest.approx(((100 * 50 / 70 + 20) / 2 + 45) / 2)


def test_rare_classes_are_the_third_with_the_fewest_labels() -> None:
    counts = counted(image("a", {index: (1, 1, 10 + index) for index in range(1, 7)}))
    assert rare_classes(counts).tolist() == [1, 2]
    assert rare_classes(TWO_IMAGES).tolist() == [1]


def test_confidence_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    codes = np.array([0 * BINS + 7, 1 * BINS + 7])
    fair = CalibrationCounts("softmax of the logits", codes, np.array([[10, 4, 5_000_000], [10, 6, 5_000_000]]))
    assert calibration_error(counted(image("a", {0: (1, 1, 1)}, fair))) == 0
    sure = CalibrationCounts("softmax of the logits", codes[:1], np.array([[10, 4, 9_000_000]]))
    assert calibration_error(counted(image("a", {0: (1, 1, 1)}, sure))) == pytest.approx(50)


def test_what_was_not_counted_is_no_number() -> None:
    assert np.isnan(boundary_iou(TWO_IMAGES, 0.02)).all()
    for key in ("boundary_mIoU_2", "ECE"):
        assert np.isnan(SCORE[key](TWO_IMAGES))
    nothing = counted(image("a", {0: (0, 0, 0)}))
    assert all(np.isnan(metric.score(nothing)) for metric in METRICS)
