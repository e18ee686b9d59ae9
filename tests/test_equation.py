"""The notation of a total loss."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provecfg.equation import WeightedTerm, equation_text, terms_of

WORDS = st.from_regex(r"[A-Za-z][A-Za-z +-]{0,12}[a-z0-9]", fullmatch=True)
WEIGHTS = st.floats(allow_nan=False, allow_infinity=False).map(lambda weight: weight or 0.0)  # no -0.0
STEADY = st.builds(WeightedTerm, WEIGHTS, WORDS, WORDS)
SCHEDULED = st.builds(WeightedTerm, WEIGHTS, WORDS, WORDS, WEIGHTS)


@given(st.lists(st.one_of(STEADY, SCHEDULED), min_size=1, max_size=4))
def test_an_equation_reads_back_as_it_was_written(terms: list[WeightedTerm]) -> None:
    assert terms_of(equation_text(terms)) == tuple(terms)


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ([WeightedTerm(1.0, "CE", "decode"), WeightedTerm(0.4, "CE", "auxiliary")], "1 CE[decode] + 0.4 CE[auxiliary]"),
        ([WeightedTerm(0.5, "Lovasz", "decode", 0.1)], "(0.5 to 0.1) Lovasz[decode]"),
        ([WeightedTerm(-1, "a", "x"), WeightedTerm(-0.25, "b", "x")], "-1 a[x] - 0.25 b[x]"),
        ([WeightedTerm(1e-5, "a", "x"), WeightedTerm(0.1234567891, "b", "x")], "1e-05 a[x] + 0.1234567891 b[x]"),
        ([], "0"),
    ],
)
def test_a_weight_is_as_short_as_its_value(terms: list[WeightedTerm], text: str) -> None:
    assert equation_text(terms) == f"total = {text}"


def test_what_nobody_declared_is_named_and_no_term() -> None:
    text = equation_text([WeightedTerm(1, "CE", "decode")], ["loss_extra"])
    assert text == "total = 1 CE[decode] + loss_extra (not declared)"
    assert terms_of(text) is None


@pytest.mark.parametrize(
    "text",
    ["1 CE[decode]", "total = ", "total = CE[decode]", "total = 1 CE", "total = 1 CE[a] * 2", "total =  + 1 a[b]"],
)
def test_what_is_no_equation_is_none(text: str) -> None:
    assert terms_of(text) is None
