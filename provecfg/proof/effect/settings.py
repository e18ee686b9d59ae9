"""The values that a config declares, each by itself, and other values in their place."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

_NAMES = frozenset({"type", "_scope_", "_delete_"})
"""Keys that say which class a dict is of, and how it is merged."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of a config that holds no dict.

    Args:
        key: Its dotted path in the config.
        steps: From the part that it belongs to: names and places in lists.
        value: What is declared.
    """

    key: str
    steps: tuple[str | int, ...]
    value: Any

    def changed(self, part: Any, value: Any) -> Any:
        """A copy of the part with another value here."""
        return _replaced(copy.deepcopy(part), self.steps, value)


def settings_of(part: Any, key: str, other_parts: Container[str] = ()) -> Iterator[Setting]:
    """The settings of a part of a config that other values can be thought of for.

    Args:
        part: A dict of the config.
        key: Its dotted path.
        other_parts: Dotted paths of dicts in it that are parts of their own.
    """
    yield from _below(part, key, (), other_parts)


def _below(value: Any, key: str, steps: tuple[str | int, ...], other_parts: Container[str]) -> Iterator[Setting]:
    if isinstance(value, dict):
        if steps and key in other_parts:
            return
        for name, item in dict.items(value):
            if name not in _NAMES:
                yield from _below(item, f"{key}.{name}", (*steps, name), other_parts)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        for index, item in enumerate(value):
            yield from _below(item, f"{key}[{index}]", (*steps, index), other_parts)
    elif alternatives(value):
        yield Setting(key, steps, value)


def alternatives(value: Any) -> tuple[Any, ...]:
    """Other values of the same kind, of which most arguments take at least one; none for what is of no such kind."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return value + 1, 2 * value if value else 2
    if isinstance(value, float):
        return value / 2 if value else 0.5, value + 1
    if isinstance(value, str):
        return (f"{value}_",)
    if isinstance(value, (list, tuple)) and value:
        choices = [alternatives(item) for item in value]
        if all(choices):
            return tuple(type(value)(choice[index % len(choice)] for choice in choices) for index in range(2))
    return ()


def _replaced(part: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if isinstance(part, tuple):
        items = list(part)
        return tuple(_replaced(items, steps, value))
    part[first] = _replaced(part[first], rest, value)
    return part
