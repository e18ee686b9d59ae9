"""Plain values as Python text, laid out the way mmseg's configs are: `dict(key=value)`, one item a line where a line
would be too long."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

WIDTH = 110


def literal(value: Any, column: int = 0, indent: int = 0) -> str:
    """`value` as the source text of an expression that gives it back.

    Args:
        value: None, bool, int, finite float, str, or a dict, list or tuple of these.
        column: Where on its line the text will start.
        indent: Indentation of that line; broken lines are indented from it.

    Raises:
        TypeError: A value of another type, named.
    """
    flat = _flat(value)
    if column + len(flat) <= WIDTH:
        return flat
    if isinstance(value, Mapping):
        if _all_keywords(value):
            parts = ((f"{key}=", item) for key, item in value.items())
            return _broken("dict(", parts, ")", indent)
        return _broken("{", ((f"{key!r}: ", item) for key, item in value.items()), "}", indent)
    if isinstance(value, list):
        return _broken("[", (("", item) for item in value), "]", indent)
    if isinstance(value, tuple):
        return _broken("(", (("", item) for item in value), ")", indent)
    return flat


def _broken(opening: str, parts: Iterable[tuple[str, Any]], closing: str, indent: int) -> str:
    inner = indent + 4
    pad = " " * inner
    lines = [f"{pad}{prefix}{literal(item, inner + len(prefix) + 1, inner)}," for prefix, item in parts]
    return "\n".join([opening, *lines, " " * indent + closing])


def _flat(value: Any) -> str:
    write = _FLAT.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, Mapping):
        return _flat_mapping(value)
    raise TypeError(f"no literal for {type(value).__name__} {value!r}")


def _flat_mapping(value: Mapping[Any, Any]) -> str:
    if _all_keywords(value):
        return f"dict({', '.join([f'{key}={_flat(item)}' for key, item in value.items()])})"
    return f"{{{', '.join([f'{key!r}: {_flat(item)}' for key, item in value.items()])}}}"


def _flat_list(value: list[Any]) -> str:
    return f"[{', '.join([_flat(item) for item in value])}]"


def _flat_tuple(value: tuple[Any, ...]) -> str:
    inside = ", ".join([_flat(item) for item in value])
    return f"({inside},)" if len(value) == 1 else f"({inside})"


def _all_keywords(value: Mapping[Any, Any]) -> bool:
    # Python normalises other letters: the keyword `ª` is `a`.
    return all(
        isinstance(key, str) and key.isascii() and key.isidentifier() and not keyword.iskeyword(key) for key in value
    )


_FLAT: dict[type, Callable[[Any], str]] = {
    bool: repr,
    int: repr,
    float: repr,
    str: repr,
    type(None): repr,
    dict: _flat_mapping,
    list: _flat_list,
    tuple: _flat_tuple,
}
