"""The classes that a config names, and the arguments that they are given and do not use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from provecfg.facts.lookup import Lookup
from provecfg.facts.model import is_mmseg
from provecfg.facts.typed import Typed, typed_nodes
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo, Fate

_PARTS_OF_MODELS: Final = frozenset({"model", "task util", "weight initializer"})


class UnusedArgument(NamedTuple):
    """An argument that its class refuses or drops.

    Args:
        typed: The dict that it stands in.
        info: The class that the dict names.
        node: The argument.
        fate: `Fate.REFUSED` or `Fate.SWALLOWED`.
    """

    typed: Typed
    info: ClassInfo
    node: Node
    fate: Fate


def typed_of(config: Lookup) -> tuple[Typed, ...]:
    """Every dict with a `type`, with the registry that builds it; of another library's models, none."""
    typed = typed_nodes(config.root)
    if is_mmseg(config):
        return tuple(typed)
    return tuple(part for part in typed if part.registry not in _PARTS_OF_MODELS)


def classes_of(config: Lookup, typed: Iterable[Typed]) -> Iterator[tuple[Typed, ClassInfo]]:
    """Those whose class is known, with it."""
    for part in typed:
        info = config.class_of(part.node, part.registry)
        if info is not None:
            yield part, info


def unused_arguments_of(config: Lookup, classes: Iterable[tuple[Typed, ClassInfo]]) -> Iterator[UnusedArgument]:
    """The arguments that these classes do not use."""
    fates = config.class_cache.fates
    for typed, info in classes:
        values, slot = typed.node.value, typed.slot
        of_class = fates.get((id(info), slot))
        if of_class is None:
            of_class = {}
            if not any(record is not None and record.flow and record.flow.delegates for record in info.ancestors):
                fates[id(info), slot] = of_class  # the cache holds the class, so that its id stays its own
        for key in values:
            fate = of_class.get(key)
            if fate is None:
                fate = of_class[key] = info.fate(key, values, slot=slot) if isinstance(key, str) else Fate.UNKNOWN
            if fate is Fate.REFUSED or fate is Fate.SWALLOWED:
                yield UnusedArgument(typed, info, Node(values[key], typed.node, key), fate)
