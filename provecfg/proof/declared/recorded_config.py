"""A config that notes what becomes of its keys: which are looked up, and which are handed on as arguments to whom."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from mmengine.config import Config, ConfigDict

from provecfg.proof.declared.kwargs_tracing import KwargsTracer, Swallowed, is_unpacking

_OWN_MODULES = frozenset({__name__, "mmengine.config.config", "addict.addict"})


@dataclass(slots=True, eq=False)
class Reads:
    """What became of the keys of one dict of the config, over all its copies.

    Args:
        path: The dict's dotted path.
        declared: Its keys and values, as the config has them.
        consumed: Keys that were looked up, or that reached a parameter of a constructor.
        swallowed: Keys that were handed on and got lost, and where.
        kept: Keys that an object keeps in a dict for later, and where: (object, attribute).
        readers: Modules whose code looked keys up.
        missed: Keys that were looked up, and are not there.
    """

    path: str
    declared: dict[Any, Any]
    consumed: set[Any] = field(default_factory=set)
    swallowed: dict[Any, Swallowed] = field(default_factory=dict)
    kept: dict[Any, tuple[object, str]] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    missed: set[Any] = field(default_factory=set)

    @property
    def is_typed(self) -> bool:
        """Whether it names a class."""
        return "type" in self.declared

    @property
    def was_used(self) -> bool:
        """Whether anybody has looked into it or handed it on."""
        return bool(self.consumed or self.swallowed or self.kept)

    @property
    def unread(self) -> list[Any]:
        """Keys that nobody has looked up or been handed yet."""
        return [
            key
            for key in self.declared
            if key not in self.consumed and key not in self.swallowed and key not in self.kept
        ]

    def key_path(self, key: Any) -> str:
        """The dotted path of one of its keys."""
        return f"{self.path}.{key}" if self.path else str(key)


class Recorder:
    """What became of all dicts of a config, by dotted path. Nothing is noted outside of `recording()`."""

    def __init__(self) -> None:
        self.by_path: dict[str, Reads] = {}
        self.tracer = KwargsTracer()

    def recording(self) -> AbstractContextManager[None]:
        """A context in which it is noted who reads keys."""
        return self.tracer.tracing()

    def config(self, config: Config) -> Config:
        """A copy of the config whose dicts note their readers here."""
        recorded = copy.copy(config)
        object.__setattr__(recorded, "_cfg_dict", self._recorded(config._cfg_dict, ""))
        return recorded

    def _recorded(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            reads = Reads(path, dict(dict.items(value)))
            self.by_path[path] = reads
            recorded = Recorded()
            for key, item in dict.items(value):
                dict.__setitem__(recorded, key, self._recorded(item, reads.key_path(key)))
            recorded._note_in(reads, self.tracer)
            return recorded
        if type(value) in (list, tuple):
            return type(value)(self._recorded(item, f"{path}[{index}]") for index, item in enumerate(value))
        return value


class Recorded(ConfigDict):
    """A dict of a config that notes who reads its keys, in itself and in its copies."""

    _reads: Reads | None = None
    _tracer: KwargsTracer | None = None

    def _note_in(self, reads: Reads | None, tracer: KwargsTracer | None) -> None:
        object.__setattr__(self, "_reads", reads)
        object.__setattr__(self, "_tracer", tracer)

    @property
    def declared_at(self) -> str | None:
        """Its dotted path; None for a dict that the config has not."""
        return self._reads.path if self._reads is not None else None

    def changes(self) -> tuple[dict[Any, Any], frozenset[Any]]:
        """What was put into it beside what the config declares, by key, and the keys that were taken out of it."""
        declared: Any = self._reads.declared if self._reads is not None else {}
        values: dict[Any, Any] = self
        added = {key: value for key, value in dict.items(values) if key not in declared}
        return added, frozenset(key for key in declared if not dict.__contains__(self, key))

    def _note(self, *keys: Any) -> None:
        reads, tracer = self._reads, self._tracer
        if reads is None or tracer is None or not tracer.is_on:
            return
        frame = sys._getframe(2)
        # `f(**self)` looks every key up; what becomes of them is for its trace to say.
        if is_unpacking(frame):
            return
        for key in keys:
            (reads.consumed if key in reads.declared else reads.missed).add(key)
        reads.readers.add(_reading_module(frame))

    # Reading

    def __getitem__(self, key: Any) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            error.__dict__.setdefault("declared_at", self.declared_at)
            raise

    def __contains__(self, key: Any) -> bool:
        self._note(key)
        return super().__contains__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._note(key)
        return super().get(key, default)

    def pop(self, key: Any, default: Any = None) -> Any:
        self._note(key)
        return super().pop(key, default)

    def items(self) -> Any:
        self._note(*dict.keys(self))
        return super().items()

    def values(self) -> Any:
        self._note(*dict.keys(self))
        return super().values()

    def keys(self) -> Any:
        reads, tracer = self._reads, self._tracer
        if reads is not None and tracer is not None and tracer.is_on:
            frame = sys._getframe(1)
            if is_unpacking(frame):
                tracer.follow(frame, reads, dict(ConfigDict.items(self)))
        return super().keys()

    def __iter__(self) -> Iterator[Any]:
        # Not overridden in vain: CPython unpacks a dict subclass by `keys` only if it has an `__iter__` of its own.
        return iter(dict.keys(self))

    # Copying and changing, which is no reading

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if dict.__contains__(self, key):
            return ConfigDict.__getitem__(self, key)
        self[key] = default
        return default

    def update(self, *args: Any, **kwargs: Any) -> None:
        for other in (*args, kwargs):
            for key, value in dict.items(other if isinstance(other, dict) else dict(other)):
                old: Any = dict.get(self, key)
                if isinstance(old, dict) and isinstance(value, dict):
                    old.update(value)
                else:
                    self[key] = value

    def __copy__(self) -> Recorded:
        other = Recorded()
        values: dict[Any, Any] = self
        for key, value in dict.items(values):
            dict.__setitem__(other, key, value)
        other._note_in(self._reads, self._tracer)
        return other

    copy = __copy__

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorded:
        other = Recorded()
        memo[id(self)] = other
        values: dict[Any, Any] = self
        for key, value in dict.items(values):
            dict.__setitem__(other, copy.deepcopy(key, memo), copy.deepcopy(value, memo))
        other._note_in(self._reads, self._tracer)
        return other


Recorded.__name__ = ConfigDict.__name__  # which is what its errors call it


def _reading_module(frame: FrameType) -> str:
    """The module that reads, behind those of the dict classes."""
    while frame.f_globals.get("__name__") in _OWN_MODULES and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__"))
