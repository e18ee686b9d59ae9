"""Numbers for values, the same for those of the same content."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

_PLAIN: Final = frozenset({bool, int, type(None), bytes, complex})


class Contents:
    """Values of configs, told apart by what is in them: types and the order of keys count, and where it was written
    does not.

    A container is read-only, and known again by its identity: it is held, so that its id stays its own.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._held: dict[int, tuple[Any, int]] = {}

    def __len__(self) -> int:
        """How many values are held."""
        return len(self._held)

    def number(self, value: Any) -> int:
        """The number of a value. What is neither plain data nor a container of it has the content of nothing else."""
        kind = type(value)
        if kind is str:
            return self._numbered(value)
        if kind in _PLAIN or isinstance(value, str):
            return self._numbered((kind, value))
        if kind is float:
            return self._numbered((kind, repr(value)))  # -0.0 equals 0.0
        held = self._held.get(id(value))
        if held is None:
            held = self._held[id(value)] = (value, self._numbered(self._content(value)))
        return held[1]

    def _content(self, value: Any) -> Hashable:
        if isinstance(value, dict):
            return (dict, *map(self.number, value), *map(self.number, value.values()))
        if isinstance(value, (list, tuple)):
            return (tuple if isinstance(value, tuple) else list, *map(self.number, value))
        return (object, id(value))

    def _numbered(self, content: Hashable) -> int:
        return self._numbers.setdefault(content, len(self._numbers))
