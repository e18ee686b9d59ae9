from __future__ import annotations

from provecfg.spelling import first_few


def test_long_lists_are_cut() -> None:
    assert first_few(["a"]) == "a"
    assert first_few(["a", "b", "c", "d"], 2) == "a, b and 2 more"
