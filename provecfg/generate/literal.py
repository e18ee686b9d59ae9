"""Plain values as Python text, laid out the way mmseg's configs are: `dict(key=value)`, one item a line where a line
would be too long."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

WIDTH = 110
_SCALARS = frozenset({bool, int, float, str, type(None)})


def literal(value: Any, column: int = 0, indent: int = 0) -> str:
    """`value` as the source text of an expression that gives it back.

    Args:
        value: None, bool, int, finite float, str, or a dict, list or tuple of these.
        column: Where on its line the text will start.
        indent: Indentation of that line; broken lines are indented from it.

    Raises:
        TypeError: A value of another type, named.
    """
    if type(value) in _SCALARS:
        return repr(value)
    flat = _flat(value, WIDTH - column)
    if flat is not None:
        return flat
    opening, parts, closing = _container(value)
    if isinstance(value, tuple):
        closing = ")"  # each item of a broken one ends in a comma
    inner = indent + 4
    pad = " " * inner
    lines = [f"{pad}{prefix}{literal(item, inner + len(prefix) + 1, inner)}," for prefix, item in parts]
    return "\n".join([opening, *lines, " " * indent + closing])


def _flat(value: Any, room: int) -> str | None:
    """The value on one line; None where that is longer than `room`, as soon as it is."""
    if type(value) in _SCALARS:
        text = repr(value)
        return text if len(text) <= room else None
    opening, parts, closing = _container(value)
    left = room - len(opening) - len(closing)
    items = []
    for prefix, item in parts:
        flat = _flat(item, left - len(prefix))
        if flat is None:
            return None
        items.append(f"{prefix}{flat}")
        left -= len(items[-1]) + len(", ")
    text = f"{opening}{', '.join(items)}{closing}"
    return text if len(text) <= room else None


def _container(value: Any) -> tuple[str, Iterable[tuple[str, Any]], str]:
    """How a container begins, its items with what stands before each, and how it ends.

    Raises:
        TypeError: The value is none.
    """
    if isinstance(value, Mapping):
        if all(map(_is_keyword_argument, value)):
            return "dict(", [(f"{key}=", item) for key, item in value.items()], ")"
        return "{", [(f"{key!r}: ", item) for key, item in value.items()], "}"
    if type(value) is list:
        return "[", [("", item) for item in value], "]"
    if type(value) is tuple:
        return "(", [("", item) for item in value], ",)" if len(value) == 1 else ")"
    raise TypeError(f"no literal for {type(value).__name__} {value!r}")


@lru_cache(maxsize=4096)
def _is_keyword_argument(key: Any) -> bool:
    # Python normalises other letters: the keyword `ª` is `a`.
    return isinstance(key, str) and key.isascii() and key.isidentifier() and not keyword.iskeyword(key)
