"""The values that a config declares, each by itself, and other values in their place."""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from torch import nn

_NAMES = frozenset({"type", "_scope_", "_delete_"})
"""Keys that say which class a dict is of, and how it is merged."""
_LONGEST_WORD = 30
"""Characters; what is longer is a sentence of an error."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of a config that holds no dict.

    Args:
        key: Its dotted path in the config.
        steps: From the part that it belongs to: names and places in lists.
        value: What is declared.
        others: Other values of the same kind, the likeliest to be taken first.
    """

    key: str
    steps: tuple[str | int, ...]
    value: Any
    others: list[Any]

    @property
    def name(self) -> str:
        """The last name of its path, which for an item of a list is that of the list."""
        return next(step for step in reversed(self.steps) if isinstance(step, str))

    def changed(self, part: Any, value: Any) -> Any:
        """A copy of the part with another value here."""
        return _replaced(copy.deepcopy(part), self.steps, value)


def settings_of(part: Any, key: str, words: Iterable[str] = (), other_parts: Container[str] = ()) -> Iterator[Setting]:
    """The settings of a part of a config that other values can be thought of for.

    Args:
        part: A dict of the config.
        key: Its dotted path.
        words: Texts that its class may compare a value with.
        other_parts: Dotted paths of dicts in it that are parts of their own.
    """
    yield from _below(part, key, (), list(words), other_parts)


def _below(
    value: Any, key: str, steps: tuple[str | int, ...], words: list[str], other_parts: Container[str]
) -> Iterator[Setting]:
    if isinstance(value, dict):
        if steps and key in other_parts:
            return
        for name, item in dict.items(value):
            if name not in _NAMES:
                yield from _below(item, f"{key}.{name}", (*steps, name), words, other_parts)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        for index, item in enumerate(value):
            yield from _below(item, f"{key}[{index}]", (*steps, index), words, other_parts)
    elif others := alternatives(value, words):
        yield Setting(key, steps, value, others)


def alternatives(value: Any, words: Iterable[str] = ()) -> list[Any]:
    """Other values of the same kind, the likeliest to be taken first; none for what is of no such kind.

    Args:
        value: A value of a config.
        words: Texts that it may be compared with. A text that is none of them may be anything, a folder that is
            made, say, and has no others.
    """
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        kind = type(value)
        return _others(value, [kind(value + 1), 2 * value, value / 2 if kind is float else value - 1, kind(0), -value])
    if isinstance(value, str):
        return _others(value, [f"{value}_", *words]) if value in words else []
    if isinstance(value, (list, tuple)) and value:
        choices = [alternatives(item, words) for item in value]
        if all(choices):
            changed = [type(value)(choice[index % len(choice)] for choice in choices) for index in range(3)]
            return _others(value, [*changed, type(value)((*value, value[-1])), value[:-1]])
    return []


def words_of(cls: type) -> list[str]:
    """The texts in the code of a class and its parents that may be values of an argument."""
    words: dict[str, None] = {}
    for base in cls.__mro__:
        for member in vars(base).values():
            if isinstance(member, FunctionType) and base is not nn.Module:
                words.update(dict.fromkeys(_texts_of(member.__code__)))
    return list(words)


def _texts_of(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _texts_of(constant)
        for text in constant if isinstance(constant, (tuple, frozenset)) else (constant,):
            if isinstance(text, str) and 0 < len(text) <= _LONGEST_WORD and " " not in text and text.isprintable():
                yield text


def _others(value: Any, candidates: Iterable[Any]) -> list[Any]:
    others: list[Any] = []
    for candidate in candidates:
        if candidate != value and candidate not in others:
            others.append(candidate)
    return others


def _replaced(part: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if isinstance(part, tuple):
        items = list(part)
        return tuple(_replaced(items, steps, value))
    part[first] = _replaced(part[first], rest, value)
    return part
