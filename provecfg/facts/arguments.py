"""The classes that a config names, and the arguments that they are given and do not use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from provecfg.facts.lookup import Lookup
from provecfg.facts.model import is_mmseg
from provecfg.facts.typed import Typed, typed_nodes
from provecfg.mmconfig import DottedName, Node
from provecfg.registry import ClassInfo, Fate
from provecfg.registry.accepted import accepted, argument_name
from provecfg.registry.layout import DATA_LOADER, LOADERS
from provecfg.registry.stated_types import StatedType, misfit

_CERTAIN: Final = frozenset(
    {
        "hook",
        "loop",
        "transform",
        "dataset",
        "metric",
        "optimizer",
        "parameter scheduler",
        "data sampler",
        "optim_wrapper",
    }
)
"""Registries of which the place in the config leaves no doubt. In a model, parts of all kinds stand side by side."""
_OF_MMENGINE: Final = frozenset({"hook", "loop", "optimizer", "optim_wrapper", "parameter scheduler", "data sampler"})
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


def unregistered_of(config: Lookup, parts: Iterable[Typed]) -> Iterator[tuple[Typed, Node]]:
    """Dicts whose class is registered nowhere that was read, each with its `type`."""
    registry = config.registry
    for typed in parts:
        node = typed.node.get("type")
        name = node.value if node is not None else None
        if node is None or not isinstance(name, str) or isinstance(name, DottedName):
            continue
        if config.class_of(typed.node, typed.registry) is not None or not registry.knows_scope(name):
            continue
        if registry.local.registers(name.rpartition(".")[2]):
            continue  # in another registry or scope, as far as the file tells
        if not _has_a_certain_registry(config, typed) and registry.registries_with(name):
            continue
        if not is_mmseg(config) and typed.registry not in _OF_MMENGINE:
            continue  # the snapshot leaves out what other libraries register only with their optional packages
        yield typed, node


def _has_a_certain_registry(config: Lookup, typed: Typed) -> bool:
    """Whether no other registry than the one that its place tells can build a dict."""
    if not typed.is_direct or typed.registry in _CERTAIN:
        return typed.is_direct
    around = _around(typed)
    owner = config.class_of(around) if around is not None else None
    return typed.registry in _PARTS_OF_MODELS and owner is not None and owner.dotted.startswith("mmseg.")


def unused_arguments_of(
    config: Lookup, parts: Iterable[Typed], classes: Iterable[tuple[Typed, ClassInfo]]
) -> Iterator[UnusedArgument]:
    """The arguments that their classes do not use."""
    fates = config.class_cache.fates
    # by the id of the dict, which the config holds, so that the id stays its own
    registry_at = {id(typed.node.value): typed.registry for typed in parts}
    for typed, info in classes:
        if not is_built_as_it_stands(config, typed, registry_at):
            continue
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
                owner = _owner_of(config, typed, registry_at)
                if owner is not None and owner.may_take_out(key):
                    continue
                yield UnusedArgument(typed, info, Node(values[key], typed.node, key), fate)


class Misfit(NamedTuple):
    """A value of a kind that its class does not state for the argument.

    Args:
        info: The class.
        argument: Name of the argument.
        node: The argument, or the part of it that does not fit.
        stated: What the class states for this part.
    """

    info: ClassInfo
    argument: str
    node: Node
    stated: StatedType


def misfits_of(config: Lookup, parts: Iterable[Typed], classes: Iterable[tuple[Typed, ClassInfo]]) -> Iterator[Misfit]:
    """The values of a kind that their class does not state; a data loader's section goes to torch's class."""
    registry_at = {id(typed.node.value): typed.registry for typed in parts}
    misdescribed = accepted(config.registry.snapshot.release).misdescribed
    built = [(typed.node, info) for typed, info in classes if is_built_as_it_stands(config, typed, registry_at)]
    data_loader = config.registry.find_dotted(DATA_LOADER)
    if data_loader is not None:
        built += [(node, data_loader) for key in LOADERS if (node := config.section(key)) is not None]
    for section, info in built:
        if info.is_of_user or not info.stated_types:
            continue
        for key, value in section.value.items():
            stated = info.stated_types.get(key)
            unfit = None if stated is None else misfit(value, stated)
            if unfit is not None and argument_name(info.dotted, key) not in misdescribed:
                path, stated_there = unfit
                node = Node(value, section, key)
                yield Misfit(info, key, (node.dig(path) if path else None) or node, stated_there)


def is_built_as_it_stands(config: Lookup, typed: Typed, registry_at: Mapping[int, str]) -> bool:
    """Whether a dict goes to its class as it is: not what a class of the user's may have made of its own keys."""
    if typed.is_direct:
        return True
    around = _around(typed)
    if around is None:
        return True
    owner = config.class_of(around, registry_at.get(id(around.value), typed.registry))
    return owner is not None and not owner.is_of_user


def _owner_of(config: Lookup, typed: Typed, registry_at: Mapping[int, str]) -> ClassInfo | None:
    """The class of the dict that this one stands in."""
    around = _around(typed)
    return None if around is None else config.class_of(around, registry_at.get(id(around.value), typed.registry))


def _around(typed: Typed) -> Node | None:
    """The nearest dict around this one that names a class."""
    around = typed.node.parent
    while around is not None and not (isinstance(around.value, dict) and "type" in around.value):
        around = around.parent
    return around
