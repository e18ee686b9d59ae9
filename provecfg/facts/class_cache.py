"""What was found out about a registry's classes, kept for the next config that sees the same registry."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, Final, TypeVar

from provecfg.facts.parts import Part
from provecfg.registry import ClassInfo, Registry
from provecfg.registry.layout import RUNNER
from provecfg.registry.preconditions import Refusal

_T = TypeVar("_T")

_MOST_VALUES: Final = 50_000
"""Values of configs that are kept with what is known of them: some thousand configs'."""


class ClassCache:
    """Classes by scope, name and registry; what follows of a value and a class alone; refusals by the digest of a part.

    A value of a config is read-only, and shared by the configs that inherit it. It is known by its identity: the cache
    holds it, so that its id stays its own.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry  # held, so that its id stays its own
        self.classes: dict[tuple[object, str, str], ClassInfo | None] = {}
        self.refusals: dict[bytes, Refusal | None] = {}  # an editor sees each state of a config that is typed
        self._parts: dict[tuple[int, int], Part] = {}
        self._known: dict[tuple[Hashable, int], tuple[Any, Any]] = {}

    @cached_property
    def runner(self) -> ClassInfo | None:
        """mmengine's Runner."""
        return self.registry.find_dotted(RUNNER)

    def part(self, value: dict[Any, Any], info: ClassInfo) -> Part:
        """What follows of a dict and the class that it names."""
        key = (id(value), id(info))
        part = self._parts.get(key)
        if part is None:
            if len(self._parts) >= _MOST_VALUES:
                self._parts.clear()
            part = self._parts[key] = Part(value, info)
        return part

    def known(self, question: Hashable, value: Any, answer: Callable[[Any], _T]) -> _T:
        """What is known of a value.

        Args:
            question: What is asked; `answer` depends on it, the value and the registry alone.
            value: The value.
            answer: Finds it out.
        """
        key = (question, id(value))
        held = self._known.get(key)
        if held is None:
            if len(self._known) >= _MOST_VALUES:
                self._known.clear()
            held = self._known[key] = (value, answer(value))
        answered: _T = held[1]
        return answered


_MOST_REGISTRIES: Final = 32
_caches: dict[int, ClassCache] = {}


def class_cache_of(registry: Registry) -> ClassCache:
    """The cache of a registry."""
    cache = _caches.get(id(registry))
    if cache is None:
        if len(_caches) >= _MOST_REGISTRIES:  # a long --watch: the user's modules are read anew when they change
            _caches.clear()
        cache = _caches[id(registry)] = ClassCache(registry)
    return cache
