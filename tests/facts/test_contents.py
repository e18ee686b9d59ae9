"""Numbers of values: the same for the same content, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from provecfg.facts.contents import Contents
from provecfg.mmconfig import DottedName, Opaque
from provecfg.mmconfig.values import ConfigDict

CONTENT: dict[str, Any] = {"type": "Resize", "scale": (2048, 1024), "ratios": [0.5, None, {"deep": True}]}


def test_equal_content_has_one_number_wherever_it_was_written() -> None:
    contents = Contents()
    copied = ConfigDict({"type": "Resize", "scale": (2048, 1024), "ratios": [0.5, None, ConfigDict({"deep": True})]})
    assert contents.number(CONTENT) == contents.number(copied)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (0, None),
        ("", None),
        ("1", 1),
        ([1, 2], (1, 2)),
        ([1, 2], [2, 1]),
        ([[1], 2], [1, [2]]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": "b"}, ["a", "b"]),
        ({1: "a"}, {True: "a"}),
        ({}, []),
        ("mmseg.FCNHead", DottedName("mmseg.FCNHead")),
        (Opaque("a call"), Opaque("a call")),
    ],
)
def test_what_python_tells_apart_has_two_numbers(value: Any, other: Any) -> None:
    contents = Contents()
    assert contents.number(value) != contents.number(other)
    assert contents.number([value]) != contents.number([other])
    assert contents.number(value) == contents.number(value)


def test_a_value_that_is_held_keeps_its_number_when_its_name_is_gone() -> None:
    contents = Contents()
    numbers = {contents.number([index]) for index in range(100)}  # lists that end at once, of ids that come again
    assert len(numbers) == 100
    assert len(contents) == 100
