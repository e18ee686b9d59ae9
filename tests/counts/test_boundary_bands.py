from __future__ import annotations

import numpy as np
import pytest

from provecfg.counts.boundary_bands import FRACTIONS, BoundaryConvention, band_levels, band_widths
from provecfg.counts.scratch import Scratch
from tests.counts.label_maps import IGNORED, label_map
from tests.counts.reference_bands import bands_by_reference


@pytest.mark.parametrize("widths", [(1, 3, 4, 9), (1, 1, 6, 16, 30), (40,)])
@pytest.mark.parametrize("image_border", [False, True])
@pytest.mark.parametrize("ignored_border", [False, True])
def test_bands_of_all_classes_are_those_of_an_erosion_for_each(
    image_border: bool, ignored_border: bool, widths: tuple[int, ...]
) -> None:
    convention = BoundaryConvention(image_border, ignored_border)
    labels = label_map(1, 90, 130, 7, ignored=4)
    ignored = labels == IGNORED
    levels = band_levels(labels.astype(np.uint8), ignored, widths, convention, Scratch())
    for index, width in enumerate(widths):
        reference = bands_by_reference(labels, width, convention)
        assert len(reference) == 7
        for label, band in reference.items():
            assert np.array_equal((levels <= index) & (labels == label), band), (width, label)
            assert band.any()


def test_a_class_behind_ignored_pixels_is_near() -> None:
    labels = np.zeros((7, 9), np.uint8)
    labels[:, 5:] = 1
    labels[:, 4] = IGNORED
    levels = band_levels(labels, labels == IGNORED, (1, 2), BoundaryConvention(), Scratch())
    # Column 3 and column 5 are two pixels apart.
    assert levels[3].tolist()[:4] == [2, 2, 2, 1]
    assert levels[3].tolist()[5:] == [1, 2, 2, 2]


def test_the_image_border_is_a_boundary_only_where_it_is_said_to_be() -> None:
    labels = np.zeros((5, 5), np.uint8)
    nothing = np.zeros((5, 5), bool)
    assert (band_levels(labels, nothing, (1,), BoundaryConvention(), Scratch()) == 1).all()
    framed = band_levels(labels, nothing, (1,), BoundaryConvention(image_border=True), Scratch())
    assert (framed == 1).sum() == 9


def test_wide_types_give_the_same_bands() -> None:
    labels = label_map(2, 40, 60, 5, ignored=2)
    ignored = labels == IGNORED
    widths = band_widths(400, 600)
    narrow = band_levels(labels.astype(np.uint8), ignored, widths, BoundaryConvention(), Scratch())
    wide = band_levels(
        np.where(ignored, 700, labels).astype(np.uint16), ignored, widths, BoundaryConvention(), Scratch()
    )
    assert np.array_equal(narrow[~ignored], wide[~ignored])


def test_widths_are_fractions_of_the_diagonal_of_at_least_a_pixel() -> None:
    assert band_widths(1024, 2048) == (1, 3, 6, 11, 23, 46)
    assert band_widths(30, 40) == (1, 1, 1, 1, 1, 1)
    assert len(FRACTIONS) == 6
