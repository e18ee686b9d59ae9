from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provecfg.generate.literal import WIDTH, literal

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["type", "class", "lr"]), inner, max_size=4)
    ),
    max_leaves=40,
)


@given(VALUES)
def test_the_text_gives_the_value_back(value: Any) -> None:
    assert eval(literal(value), {"__builtins__": {}, "dict": dict}) == value


def test_a_value_that_fits_stays_on_its_line() -> None:
    assert (
        literal({"type": "PolyLR", "power": 0.9, "in_index": (1,)}) == "dict(type='PolyLR', power=0.9, in_index=(1,))"
    )


def test_a_long_value_has_one_item_a_line() -> None:
    value = {"type": "X" * WIDTH, "betas": (0.9, 0.999)}
    assert literal(value, column=8).splitlines() == [
        "dict(",
        f"    type='{'X' * WIDTH}',",
        "    betas=(0.9, 0.999),",
        ")",
    ]


def test_keys_that_are_no_names_are_written_with_braces() -> None:
    assert literal({"backbone.norm": 1}) == "{'backbone.norm': 1}"
    assert literal({"class": 1}) == "{'class': 1}"


def test_a_value_without_a_literal_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="no literal for object"):
        literal({"a": object()})
