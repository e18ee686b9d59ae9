"""A property of a config that is worked out once, with what of the config it was made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar, overload

_T = TypeVar("_T")

EVERYTHING: Final = ""
"""What is read of a config by whoever looks at more than the values at dotted paths."""

ANSWER: Final = "?"
"""Begins the name of an answer among what is read."""


class Reader(Protocol):
    """A config that keeps what was read of it: `facts.lookup.Lookup`."""

    reads: set[str]

    def known(self, name: Hashable, work_out: Callable[[], _T]) -> tuple[_T, set[str]]: ...

    def contents_at(self, paths: Iterable[str]) -> Mapping[str, int]: ...


class Fact(Generic[_T]):
    """A property that is worked out when first asked for.

    Whoever asks has read what the fact was made of, then and each later time: see `Lookup.reads`.
    """

    def __init__(self, work_out: Callable[[Any], _T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, config: None, owner: type) -> Fact[_T]: ...
    @overload
    def __get__(self, config: Reader, owner: type) -> _T: ...
    def __get__(self, config: Reader | None, owner: type) -> Fact[_T] | _T:
        if config is None:
            return self
        value, reads = config.known(self._name, functools.partial(self._work_out, config))
        self._note(config, reads)
        return value

    def _note(self, config: Reader, reads: set[str]) -> None:
        config.reads |= reads


class Answer(Fact[_T]):
    """A fact of few values: whoever asks depends on the answer alone, however it came about."""

    def _note(self, config: Reader, reads: set[str]) -> None:
        config.reads.add(ANSWER + self._name)
