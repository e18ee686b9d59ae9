"""What was found out about a registry's classes, kept for the next config that sees the same registry."""

from __future__ import annotations

from typing import Final

from provecfg.registry import ClassInfo, Fate, Registry
from provecfg.registry.preconditions import Refusal


class ClassCache:
    """Classes by scope, name and registry; fates by class and slot, then key; refusals by the digest of a part.

    None depends on the config, but for the fates of classes that hand arguments on to a class that the config names:
    those are not kept.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry  # held, so that its id stays its own
        self.classes: dict[tuple[object, str, str], ClassInfo | None] = {}
        self.fates: dict[tuple[int, str], dict[object, Fate]] = {}
        self.refusals: dict[bytes, Refusal | None] = {}  # an editor sees each state of a config that is typed


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
