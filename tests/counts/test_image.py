from __future__ import annotations

import numpy as np
import pytest

from provecfg.counts.boundary_bands import BoundaryConvention, band_widths
from provecfg.counts.image import INTERSECTION, LABEL, PREDICTION, count_image
from tests.counts.label_maps import IGNORED, label_map, shifted
from tests.counts.reference_bands import bands_by_reference


def count(prediction, label, classes, convention=None, ignore_index=IGNORED):
    return count_image(
        np.asarray(prediction), np.asarray(label), num_classes=classes, ignore_index=ignore_index, boundaries=convention
    )


def test_four_pixels() -> None:
    counts = count([[0, 1], [1, 1]], [[0, 0], [1, IGNORED]], 3)
    assert counts.classes.tolist() == [0, 1]
    assert counts.regions.tolist() == [[1, 1, 2], [1, 2, 1]]
    assert dict(zip(counts.confusion_codes.tolist(), counts.confusion_counts.tolist(), strict=True)) == {
        0 * 4 + 0: 1,
        0 * 4 + 1: 1,
        1 * 4 + 1: 1,
    }


@pytest.mark.parametrize("ignore_index", [255, 0, -100, 300])
@pytest.mark.parametrize("classes", [3, 260])
def test_a_label_that_is_no_class_counts_for_the_prediction_alone(classes: int, ignore_index: int) -> None:
    label = np.array([[1, 2, classes + 50, ignore_index]], np.int32)
    counts = count([[1, 1, 2, 2]], label, classes, ignore_index=ignore_index)
    assert counts.classes.tolist() == [1, 2]
    assert counts.regions.tolist() == [[1, 2, 1], [0, 1, 1]]
    assert counts.confusion_counts.sum() == 3


@pytest.mark.parametrize("step", [1, 50])
def test_bands_and_their_intersections_are_those_of_the_paper_for_each_class(step: int) -> None:
    """Classes 0, step, 2 step and so on, so that they are no bytes at a step of 50."""
    convention = BoundaryConvention(image_border=True)
    label = label_map(3, 120, 160, 6, ignored=3)
    prediction = shifted(label, 3, 2)
    counts = count(
        prediction * step, np.where(label == IGNORED, 999, label * step), 6 * step, convention, ignore_index=999
    )
    masked = np.where(label == IGNORED, IGNORED, prediction)
    assert counts.classes.tolist() == [step * index for index in range(6)]
    for index, width in enumerate(band_widths(120, 160)):
        of_label = bands_by_reference(label, width, convention)
        of_prediction = bands_by_reference(masked, width, convention)
        for truth, guess, row in zip(of_label.values(), of_prediction.values(), counts.bands[:, index], strict=True):
            assert row[INTERSECTION] == (truth & guess).sum()
            assert row[PREDICTION] == guess.sum()
            assert row[LABEL] == truth.sum()


def test_a_perfect_prediction_fills_every_band() -> None:
    label = label_map(4, 80, 100, 5, ignored=5)
    counts = count(np.where(label == IGNORED, 2, label), label, 5, BoundaryConvention())
    assert counts.bands[:, -1, LABEL].min() > 0
    assert (counts.bands[..., INTERSECTION] == counts.bands[..., LABEL]).all()
    assert (counts.bands[..., PREDICTION] == counts.bands[..., LABEL]).all()


def test_what_is_predicted_on_ignored_pixels_changes_nothing() -> None:
    label = label_map(5, 80, 100, 5, ignored=6)
    first = count(shifted(label, 2, 1, behind_ignored=0), label, 5, BoundaryConvention())
    prediction = shifted(label, 2, 1, behind_ignored=0)
    prediction[label == IGNORED] = 4
    second = count(prediction, label, 5, BoundaryConvention())
    assert np.array_equal(first.regions, second.regions)
    assert np.array_equal(first.bands, second.bands)


def test_bands_grow_with_their_width_into_the_region() -> None:
    label = label_map(6, 200, 300, 5)
    counts = count(shifted(label, 4, 4), label, 5, BoundaryConvention())
    assert (np.diff(counts.bands, axis=1) >= 0).all()
    assert (counts.bands[:, -1] <= counts.regions).all()


def test_a_large_map_is_counted_in_strips_as_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    label = label_map(7, 230, 90, 5, ignored=4)
    prediction = shifted(label, 3, 2)
    for convention in (BoundaryConvention(), BoundaryConvention(image_border=True, ignored_border=True)):
        whole = count(prediction, label, 5, convention)
        monkeypatch.setattr("provecfg.counts.image._STRIP_PIXELS", 1)
        strips = count(prediction, label, 5, convention)
        monkeypatch.undo()
        assert np.array_equal(whole.bands, strips.bands)
        assert np.array_equal(whole.confusion_counts, strips.confusion_counts)


def test_a_map_beyond_float32_is_counted_exactly() -> None:
    side = 4100  # more than 2**24 pixels, of one class
    label = np.zeros((side, side), np.uint8)
    label[0, 0] = 1
    counts = count(np.zeros_like(label), label, 2)
    assert counts.regions.tolist() == [[side * side - 1, side * side, side * side - 1], [0, 0, 1]]
