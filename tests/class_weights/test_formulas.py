from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provecfg.class_weights.formulas import METHODS, ClassCount, LabelCounts, class_weights, parameters_of
from provecfg.errors import ProvecfgError

EVERY_METHOD = pytest.mark.parametrize("method", METHODS)
some_pixels = st.lists(st.integers(0, 10**9), min_size=1, max_size=8).filter(any)


def counts_of(pixels: Sequence[int], files: int = 10, file_pixels: Sequence[int] | None = None) -> LabelCounts:
    """Classes that every label map holds, unless `file_pixels` says otherwise."""
    file_pixels = file_pixels or [sum(pixels) if count else 0 for count in pixels]
    classes = (ClassCount(own, files if own else 0, total) for own, total in zip(pixels, file_pixels, strict=True))
    return LabelCounts(tuple(classes), files, 0, "sha256:0")


@EVERY_METHOD
def test_equal_counts_give_all_ones(method: str) -> None:
    assert class_weights(counts_of([500] * 4), method) == pytest.approx([1] * 4)


@EVERY_METHOD
def test_a_class_alone_weighs_one(method: str) -> None:
    assert class_weights(counts_of([123]), method) == pytest.approx([1])


@EVERY_METHOD
@given(some_pixels)
def test_weights_are_positive_with_a_mean_of_one_over_the_classes_that_occur(method: str, pixels: list[int]) -> None:
    weights = class_weights(counts_of(pixels), method)
    present = [weight for weight, count in zip(weights, pixels, strict=True) if count]
    assert math.fsum(present) / len(present) == pytest.approx(1)
    assert all(math.isfinite(weight) and weight > 0 for weight in weights)


@EVERY_METHOD
@given(some_pixels)
def test_a_rarer_class_never_weighs_less(method: str, pixels: list[int]) -> None:
    ranked = sorted(zip(pixels, class_weights(counts_of(pixels), method), strict=True))
    for (_, rarer), (_, commoner) in pairwise(ranked):
        assert rarer >= commoner * (1 - 1e-12)


@EVERY_METHOD
@given(some_pixels, st.randoms())
def test_permuting_the_classes_permutes_the_weights(method: str, pixels: list[int], random) -> None:
    order = list(range(len(pixels)))
    random.shuffle(order)
    weights = class_weights(counts_of(pixels), method)
    permuted = class_weights(counts_of([pixels[index] for index in order]), method)
    assert permuted == pytest.approx([weights[index] for index in order])


@EVERY_METHOD
@given(some_pixels, st.integers(2, 1000))
def test_larger_images_change_nothing(method: str, pixels: list[int], factor: int) -> None:
    scaled = class_weights(counts_of([factor * count for count in pixels]), method)
    assert scaled == pytest.approx(class_weights(counts_of(pixels), method))


@pytest.mark.parametrize("method", ["inverse", "median-frequency", "log"])
@given(some_pixels, st.integers(2, 1000))
def test_more_of_the_same_images_change_nothing(method: str, pixels: list[int], factor: int) -> None:
    more = class_weights(counts_of([factor * count for count in pixels], files=10 * factor), method)
    assert more == pytest.approx(class_weights(counts_of(pixels), method))


@EVERY_METHOD
def test_an_absent_class_weighs_as_much_as_the_rarest(method: str) -> None:
    weights = class_weights(counts_of([600, 0, 300, 100, 0]), method)
    assert weights[1] == weights[4] == weights[3] == max(weights)
    # It has no part in the others' weights.
    assert weights[::2][:2] == pytest.approx(class_weights(counts_of([600, 300, 100]), method)[:2])


def test_inverse_frequency_makes_every_class_count_the_same() -> None:
    pixels = [1, 10, 989]
    weights = class_weights(counts_of(pixels), "inverse")
    assert [weight * count for weight, count in zip(weights, pixels, strict=True)] == pytest.approx([weights[0]] * 3)


def test_median_frequency_goes_by_the_label_maps_that_hold_a_class() -> None:
    # Frequencies 0.5, 0.25 and, in a tenth of the label maps, 0.25 too: rarer over all, but not where it is.
    weights = class_weights(counts_of([500, 250, 25], file_pixels=[1000, 1000, 100]), "median-frequency")
    assert weights[1] == weights[2] == 2 * weights[0]


def test_effective_number_lies_between_no_weights_and_inverse_frequency() -> None:
    counts = counts_of([700, 200, 100], files=5000)
    inverse = class_weights(counts, "inverse")
    assert class_weights(counts, "effective-number", {"beta": 0}) == pytest.approx([1] * 3)
    assert class_weights(counts, "effective-number", {"beta": 1 - 1e-12}) == pytest.approx(inverse, rel=1e-3)
    between = class_weights(counts, "effective-number")
    assert 1 < between[2] / between[0] < inverse[2] / inverse[0]


def test_effective_number_is_the_papers_where_every_image_is_one_class() -> None:
    beta, images = 0.999, [70, 20, 10]
    weights = class_weights(counts_of([50 * n for n in images], files=100), "effective-number", {"beta": beta})
    expected = [(1 - beta) / (1 - beta**n) for n in images]
    assert weights == pytest.approx([3 * value / sum(expected) for value in expected])


def test_log_is_enets() -> None:
    weights = class_weights(counts_of([900, 100]), "log")
    assert weights[1] / weights[0] == pytest.approx(math.log(1.02 + 0.9) / math.log(1.02 + 0.1))


def test_no_pixel_of_any_class_is_an_error() -> None:
    with pytest.raises(ProvecfgError, match="no pixel of the label maps has a class"):
        class_weights(counts_of([0, 0], file_pixels=[0, 0]), "inverse")


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("invers", {}, "unknown method 'invers'; did you mean 'inverse'"),
        ("log", {"beta": 0.9}, "method 'log' has no parameter 'beta'"),
        ("effective-number", {"beta": 1.0}, "beta is 1, must be at least 0 and less than 1"),
        ("effective-number", {"beta": math.nan}, "beta is nan, must be"),
    ],
)
def test_what_is_no_method_is_refused(method: str, parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ProvecfgError, match=message):
        class_weights(counts_of([1, 2]), method, parameters)


def test_defaults_are_the_papers() -> None:
    assert dict(parameters_of("effective-number")) == {"beta": 0.9999}
    assert dict(parameters_of("log")) == {"c": 1.02}
