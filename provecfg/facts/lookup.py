"""The values, the arguments and the classes of a config, whatever they are about.

A value that the config does not settle (opaque, or the default of a class that nobody knows) is `UNKNOWN`; it equals
nothing and is of no type, so that what tests for the type that it needs skips it by itself.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any, Final, TypeVar

from provecfg.facts.class_cache import ClassCache, class_cache_of
from provecfg.facts.fact import ANSWER, EVERYTHING, Answer
from provecfg.mmconfig import ConfigView, DottedName, Node, Opaque
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Registry, registry_for
from provecfg.registry.classes import ClassRecord
from provecfg.registry.layout import IMPLIED_TYPES
from provecfg.registry.lookup import NO_SCOPE
from provecfg.registry.release import installed_release

_T = TypeVar("_T")

OWN_SCOPES: Final = frozenset({"", "mmseg", "provecfg"})
"""Scopes whose names are used without scope here: mmseg's and the plugin's."""


_ABSENT: Final = -1
"""The number of what is not there."""


class _Unknown(enum.Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown.UNKNOWN
"""A value that reading the config does not settle. It equals nothing and is of no type that a rule asks for."""


class Lookup:
    """One config, to be asked for what it sets.

    Args:
        view: The config as read.
        registry: What the classes accept; that of the installed release, and of the config's imports, unless given.
    """

    def __init__(self, view: ConfigView, registry: Registry | None = None) -> None:
        self._view = view
        self._root = view.root
        self._registry = registry
        self._nodes: dict[str, Node | None] = {}
        self._numbers: dict[str, int] = {}
        self._known: dict[Hashable, tuple[Any, set[str]]] = {}
        self.reads: set[str] = set()
        """What was read since this was set: dotted paths, at which all below may have been looked at, answers, or
        everything. It is what a verdict depends on; see `silences`."""

    def known(self, name: Hashable, work_out: Callable[[], _T]) -> tuple[_T, set[str]]:
        """What is worked out once, with what was read for it."""
        known = self._known.get(name)
        if known is None:
            reader, self.reads = self.reads, set()
            try:
                known = self._known[name] = (work_out(), self.reads)
            finally:
                self.reads = reader
        return known

    @property
    def view(self) -> ConfigView:
        """The config as read."""
        self.reads.add(EVERYTHING)
        return self._view

    @property
    def root(self) -> Node:
        """The cursor at its top."""
        self.reads.add(EVERYTHING)
        return self._root

    @cached_property
    def registry(self) -> Registry:
        """What the classes accept that this config can name."""
        return self._registry if self._registry is not None else registry_for(self._view, release=_installed())

    @cached_property
    def class_cache(self) -> ClassCache:
        """What is known about that registry's classes already."""
        return class_cache_of(self.registry)

    def get(self, key: str) -> Node | None:
        """A node by its dotted path. Whoever goes from it to what is around it has to read that, too."""
        self.reads.add(key)
        return self._node(key)

    def _node(self, key: str) -> Node | None:
        if key not in self._nodes:
            self._nodes[key] = self._root.dig(key)
        return self._nodes[key]

    def contents_at(self, paths: Iterable[str]) -> Mapping[str, int]:
        """Numbers by path, at least of these paths: the same for configs with the same content there; see `reads`."""
        for path in paths:
            if path not in self._numbers:
                self._numbers[path] = self._number_at(path)
        return self._numbers

    def _number_at(self, path: str) -> int:
        contents = self.class_cache.contents
        if path.startswith(ANSWER):
            return contents.number(getattr(self, path[len(ANSWER) :]))
        node = self._node(path)
        return _ABSENT if node is None else contents.number(node.value)

    @Answer
    def is_mmseg(self) -> bool:
        """Whether unscoped names mean mmseg's classes. A fragment that sets no scope counts."""
        scope = self.get("default_scope")
        if scope is not None and scope.value is not None:
            return bool(scope.value == "mmseg")
        if self.registry.default_scope == NO_SCOPE:
            return False
        # the read_base() style names modules, not scopes
        named = self.value(self.section("model") or self.section("data_preprocessor"), "type")
        return not isinstance(named, DottedName) or named.partition(".")[0] in ("mmseg", "provecfg")

    def section(self, key: str) -> Node | None:
        """A dict by its dotted path, or None."""
        node = self.get(key)
        return node if node is not None and node.is_dict else None

    @staticmethod
    def value(node: Node | None, key: str, default: Any = None) -> Any:
        """What a dict sets under a key: `default` where it sets nothing, UNKNOWN where that is opaque."""
        if node is None or not isinstance(node.value, dict):
            return default
        value = node.value.get(key, default)
        return UNKNOWN if isinstance(value, Opaque) else value

    def class_of(self, node: Node | None, registry: str = "model") -> ClassInfo | None:
        """The class that a dict's `type` names, or None if it names none or an unknown one."""
        name = node.value.get("type") if node is not None and isinstance(node.value, dict) else None
        if name is None and node is not None and node.parent is self._root:
            name = IMPLIED_TYPES.get(node.step)
        if not isinstance(name, str):
            return None
        scope = node.value.get("_scope_") if node is not None else None
        scope = scope if isinstance(scope, str) else None
        # a dotted name equals its text and is looked up otherwise
        key = (scope, name, registry if type(name) is str else f"{registry} by path")
        classes = self.class_cache.classes
        if key not in classes:
            classes[key] = self.registry.find(name, registry, scope=scope)
        return classes[key]

    def is_unknown_to_release(self, node: Node | None, registry: str = "model") -> bool:
        """Whether a dict's class is the user's own, and no copy of one of the release's under its dotted name."""
        info = self.class_of(node, registry)
        return info is not None and info.is_of_user and self.registry.snapshot.record(info.dotted) is None

    def replaces(self, node: Node | None, *methods: str, extended: bool = False, registry: str = "model") -> bool:
        """Whether a dict's class is the user's and may do in its own way what one of these methods of the release does.

        A copy of one of the release's classes under its dotted name is taken for what it is a copy of.

        Args:
            node: The dict.
            methods: Their names.
            extended: Whether a method counts that is sure to call the parent's with what it is given: it may make
                another thing of the result.
            registry: mmengine's name of the registry.
        """
        info = self.class_of(node, registry)
        return info is not None and any(
            record is None or (record.may_hide(method) and (extended or method not in record.extended))
            for record in self._of_user(info)
            for method in methods
        )

    def _of_user(self, info: ClassInfo) -> list[ClassRecord | None]:
        """Those of a class and its parents that are the user's, and no copies of the release's; None if not known."""
        if not info.is_of_user:
            return []
        return [
            record
            for record in info.ancestors
            if record is None or (record.file is not None and self.registry.snapshot.record(record.dotted) is None)
        ]

    def argument(self, node: Node | None, name: str, registry: str = "model") -> Any:
        """What a class is given under a name: what the dict sets, else the class's own default, else UNKNOWN.

        UNKNOWN, too, where a class of the user's may give its parent something else under that name.
        """
        if node is None or not isinstance(node.value, dict):
            return UNKNOWN
        info = self.class_of(node, registry)
        if info is not None and any(record is not None and record.may_change(name) for record in self._of_user(info)):
            return UNKNOWN
        if name in node.value:
            value = node.value[name]
            return UNKNOWN if isinstance(value, Opaque) else value
        parameter = info.parameters.get(name) if info is not None else None
        if parameter is None or parameter.default is REQUIRED or parameter.default is UNKNOWN_DEFAULT:
            return UNKNOWN
        return parameter.default


@functools.cache
def _installed() -> str:
    """The installed release; it does not change while configs are judged, and asking takes as long as a rule."""
    return installed_release()


def entries(node: Node | None) -> list[Node]:
    """The items of a list, or the dict that is set in place of a list of one; nothing of anything else."""
    if node is None:
        return []
    return [node] if node.is_dict else list(node)


def scope_and_name(type_name: object) -> tuple[str, str]:
    """The registry scope (or top package) and the class's name out of a `type`; ('', '') for what is no text."""
    if not isinstance(type_name, str):
        return "", ""
    scope, _, name = type_name.rpartition(".")
    return (scope.partition(".")[0] if isinstance(type_name, DottedName) else scope), name


def kind_of(type_name: object) -> str:
    """A `type` without mmseg's scope: `DiceLoss`, but `mmdet.DiceLoss`; '' for what is no text."""
    scope, name = scope_and_name(type_name)
    return name if scope in OWN_SCOPES else f"{scope}.{name}"
