"""Numbers out of a config's values: anything else is None, and so is what no setting can be meant to be."""

from __future__ import annotations

from typing import Any, Final

_LARGEST: Final = 10**15


def number(value: Any) -> int | float | None:
    """An int or a float; None for a bool, and for anything that is no number or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if -_LARGEST < value < _LARGEST else None


def whole(value: Any) -> int | None:
    """An int, or a float without a fraction."""
    finite = number(value)
    if isinstance(finite, float):
        return int(finite) if finite.is_integer() else None
    return finite


def count(value: Any) -> int | None:
    """An int as it is written: what mmseg compares with `==` or asserts the type of."""
    return value if isinstance(value, int) and whole(value) is not None else None
