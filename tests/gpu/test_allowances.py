from __future__ import annotations

import pytest

from tests.gpu.allowances import Allowances, MemoryPair, fitted_allowances, pairs_of

MIB = 2**20


def pair(forecast: int, allocated: int, reserved: int, outside: int = 500) -> MemoryPair:
    """Sizes in MiB."""
    return MemoryPair(forecast * MIB, allocated * MIB, reserved * MIB, outside * MIB)


def test_a_perfect_forecast_needs_no_share() -> None:
    assert fitted_allowances([pair(100, 100, 100, 0)]) == Allowances(0.0, 0, 0.0, 0.0, 1)


def test_the_share_covers_what_the_allocator_held_and_no_more() -> None:
    fit = fitted_allowances([pair(100, 100, 110), pair(200, 200, 260), pair(400, 400, 420)], covered=1.0)
    assert fit.share == pytest.approx(0.3)
    assert fit.runs == 3


def test_the_worst_run_in_twenty_is_not_fitted_to() -> None:
    usual = [pair(100, 100, 100 + step) for step in range(19)]
    assert fitted_allowances([*usual, pair(100, 100, 900)]).share == pytest.approx(0.18)
    assert fitted_allowances([*usual, pair(100, 100, 900)], covered=1.0).share == pytest.approx(8.0)
    assert fitted_allowances([*usual[:18], pair(100, 100, 900)]).share == pytest.approx(8.0)


def test_a_forecast_that_is_too_high_asks_for_no_negative_share() -> None:
    fit = fitted_allowances([pair(100, 50, 60)])
    assert (fit.share, fit.low) == (0.0, 0.0)
    assert fit.high == pytest.approx(1.0)


def test_the_error_is_a_fraction_of_what_tensors_took() -> None:
    fit = fitted_allowances([pair(90, 100, 100), pair(125, 100, 100)])
    assert fit.low == pytest.approx(0.1)
    assert fit.high == pytest.approx(0.25)


def test_outside_is_the_most_that_any_run_had() -> None:
    assert fitted_allowances([pair(1, 1, 1, 300), pair(1, 1, 1, 700), pair(1, 1, 1, 20)]).outside == 700 * MIB


@pytest.mark.parametrize(
    ("pairs", "covered", "message"),
    [
        ([], 0.95, "no run"),
        ([pair(1, 1, 1)], 0.0, "covered is 0.0"),
        ([pair(0, 1, 1)], 0.95, "more than 0 bytes"),
        ([pair(1, 1, 0)], 0.95, "more than 0 bytes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(pairs: list[MemoryPair], covered: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted_allowances(pairs, covered=covered)


def test_runs_without_memory_are_not_fitted_to() -> None:
    row = {"forecast": 3, "allocated": 2, "reserved": 4, "outside": 1}
    assert pairs_of([{**row, "state": "finished"}, {**row, "state": "out of memory"}]) == [MemoryPair(3, 2, 4, 1)]
