"""What expressions can yield besides config values: functions, modules, iterators. None of them outlives a reading."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from provecfg.mmconfig.values import ConfigDict, ConfigList, Opaque, Origin


class NotKnownError(Exception):
    """A result cannot be known without running the config.

    Args:
        reason: As in `Opaque`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BaseReference(Opaque):
    """`{{_base_.a.b}}` before its value is put in."""

    __slots__ = ("dotted",)

    def __init__(self, dotted: str) -> None:
        super().__init__(f"{{{{_base_.{dotted}}}}} is replaced only where it is a whole item")
        self.dotted = dotted


@dataclass(frozen=True, slots=True, eq=False)
class Builtin:
    """A function or class of Python that is known here.

    Args:
        name: With its module: `builtins.len`, `math.sqrt`.
        run: Takes the evaluator, the call and its arguments; None if it is known by name only.
        instances: For a class, the Python classes of its instances.
    """

    name: str
    run: Callable[..., Any] | None = None
    instances: tuple[type, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A module of the standard library. Its pure functions are known; it is never imported."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """Something imported from the standard library that is not known here; configs do not keep it."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class LocalFunction:
    """A `def` or `lambda` of the config, with the scopes it was made in and the values of its defaults."""

    name: str
    arguments: ast.arguments
    body: list[ast.stmt] | ast.expr
    scopes: tuple[dict[str, Any], ...]
    defaults: tuple[Any, ...]
    keyword_defaults: dict[str, Any]
    names: frozenset[str]
    """Its own: never those of the outside, even before they are bound."""


class LocalScope(dict[str, Any]):
    """The names that a call of a function has bound.

    Args:
        bound: Names and values.
        names: All that the function binds, also later or on another way through it.
    """

    def __init__(self, bound: dict[str, Any], names: frozenset[str]) -> None:
        super().__init__(bound)
        self.names = names


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of a value, named but not yet called."""

    receiver: Any
    name: str


class Iterated(ConfigList):
    """What an iterator would give (`zip`, `enumerate`, a generator), written out. As a value of a config, opaque.

    Args:
        items: What it would give.
        origins: As of `ConfigList`.
        sources: What it takes its items from, while it is asked for them.
    """

    __slots__ = ("_sources",)

    def __init__(
        self,
        items: Iterable[Any] = (),
        origins: list[Origin | None] | None = None,
        sources: Iterable[Any] = (),
    ) -> None:
        super().__init__(items, origins)
        self._sources = [
            (source, _content(source)) for source in sources if isinstance(source, (ConfigDict, list, set))
        ]

    def is_current(self) -> bool:
        """Whether its sources still have the items that they had when it was made."""
        return all(_are_same(_content(source), content) for source, content in self._sources) and all(
            source.is_current() for source, _ in self._sources if isinstance(source, Iterated)
        )


def _content(container: Any) -> tuple[Any, ...]:
    return (*container, *container.values()) if isinstance(container, dict) else tuple(container)


def _are_same(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(map(operator.is_, left, right))
