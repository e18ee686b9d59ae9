"""Digests of values, as configs hold them."""

from __future__ import annotations

import os
import subprocess
import sys
from json import JSONEncoder
from typing import Any

import pytest

from provecfg.digest import digest_of


def test_order_and_tuples_are_no_difference() -> None:
    assert digest_of({"a": (1, 2), "b": None}) == digest_of({"b": None, "a": [1, 2]})
    assert len(digest_of({})) == 16


@pytest.mark.parametrize(
    ("value", "other"),
    [(1, 1.5), (1, "1"), (True, 1), (None, False), ([1, 2], [2, 1]), ({"a": {}}, {"a": []}), ({1, 2}, {1, 3})],
)
def test_another_value_is_another_digest(value: Any, other: Any) -> None:
    assert digest_of({"x": value}) != digest_of({"x": other})


def test_keys_of_several_types_are_sorted_as_text() -> None:
    assert digest_of({1: "a", "b": 2}) == digest_of({"b": 2, "1": "a"})


def test_sets_classes_and_functions_have_the_same_digest_in_every_process() -> None:
    code = (
        "from json import JSONEncoder\nfrom os.path import join\nfrom provecfg.digest import digest_of\n"
        "print(digest_of({'set': {'a', 'b', 'c', 'd'}, 'class': JSONEncoder, 'function': join, 'built in': len}))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1
    assert digest_of(JSONEncoder) == digest_of("json.encoder.JSONEncoder")
