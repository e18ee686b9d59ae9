"""What was found out about a registry's classes, kept for the next config that sees the same registry."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from provecfg.facts.contents import Contents
from provecfg.facts.parts import Part
from provecfg.facts.silences import Silences
from provecfg.registry import ClassInfo, Registry
from provecfg.registry.layout import RUNNER

if TYPE_CHECKING:
    from provecfg.registry.preconditions import Refusal

_T = TypeVar("_T")

_MOST_CONTAINERS: Final = 50_000
"""Dicts and lists of configs that are kept with what is known of them: some thousand configs'."""


class ClassCache:
    """Classes by scope, name and registry; what follows of a value and a class alone; refusals by the digest of a part;
    where rules had nothing to say.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry  # held, so that its id stays its own
        self.contents = Contents()
        self.silences = Silences()
        self.classes: dict[tuple[object, str, str], ClassInfo | None] = {}
        self.refusals: dict[bytes, Refusal | None] = {}  # an editor sees each state of a config that is typed
        self._parts: dict[tuple[int, int], Part] = {}
        self._known: dict[Hashable, Any] = {}
        self._texts: dict[int, str] = {}

    @property
    def is_full(self) -> bool:
        """Whether it holds so much that it is better begun anew."""
        return len(self.contents) > _MOST_CONTAINERS

    @cached_property
    def runner(self) -> ClassInfo | None:
        """mmengine's Runner."""
        return self.registry.find_dotted(RUNNER)

    def part(self, value: dict[Any, Any], info: ClassInfo) -> Part:
        """What follows of a dict and the class that it names, for every dict of the same content."""
        key = (self.contents.number(value), id(info))
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(value, info)
        return part

    def text_of(self, value: Any) -> str:
        """`repr(value)`, whose parts are kept: of a whole config, most are another's, too."""
        if not isinstance(value, dict):
            return repr(value)
        return f"{{{', '.join(f'{key!r}: {self._text_of_part(part)}' for key, part in value.items())}}}"

    def _text_of_part(self, value: Any) -> str:
        if not isinstance(value, (dict, list)):
            return repr(value)
        number = self.contents.number(value)
        text = self._texts.get(number)
        if text is None:
            text = self._texts[number] = repr(value)
        return text

    def known(self, question: Hashable, answer: Callable[[], _T]) -> _T:
        """What was answered to a question before, else what is now.

        Args:
            question: What is asked: the answer depends on it and the registry alone. An id in it has to be that of
                something that the answer, or `contents`, holds.
            answer: Finds it out.
        """
        if question not in self._known:
            self._known[question] = answer()
        answered: _T = self._known[question]
        return answered


_MOST_REGISTRIES: Final = 32
_caches: dict[int, ClassCache] = {}


def class_cache_of(registry: Registry) -> ClassCache:
    """The cache of a registry."""
    cache = _caches.get(id(registry))
    if cache is None or cache.is_full:
        if len(_caches) >= _MOST_REGISTRIES:  # a long --watch: the user's modules are read anew when they change
            _caches.clear()
        cache = _caches[id(registry)] = ClassCache(registry)
    return cache
