"""The classes that a config names, and the arguments that they are given and do not use."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from provecfg.facts.lookup import Lookup
from provecfg.facts.parts import Part
from provecfg.facts.typed import BUILT, Typed, containers_in, typed_in
from provecfg.mmconfig import DottedName, Node
from provecfg.registry import ClassInfo, Fate
from provecfg.registry.accepted import accepted, argument_name
from provecfg.registry.layout import DATA_LOADER, LOADERS
from provecfg.registry.stated_types import StatedType
from provecfg.registry.tree import ROOT_SCOPE

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


def typed_of(config: Lookup, section: str) -> Iterator[Typed]:
    """Every dict of a section with a `type`, with the registry that builds it; of another library's models, none.

    Args:
        config: The config.
        section: One of `BUILT`.
    """
    node = config.get(section)
    if node is None or not (node.is_dict or node.is_list):
        return
    question = (section, id(node.value))
    find = functools.partial(containers_in, node.value, section, BUILT[section])
    for part in typed_in(node, config.class_cache.known(question, find)):
        if part.registry not in _PARTS_OF_MODELS or config.is_mmseg:
            yield part


def parts_of(config: Lookup, typed: Iterable[Typed]) -> Iterator[tuple[Typed, Part]]:
    """Those whose class is known, with what follows of it and of their dict alone."""
    cache = config.class_cache
    for place in typed:
        info = config.class_of(place.node, place.registry)
        if info is not None:
            yield place, cache.part(place.node.value, info)


def unregistered_of(config: Lookup, typed: Iterable[Typed]) -> Iterator[tuple[Typed, Node]]:
    """Dicts whose class is registered nowhere that was read, each with its `type`.

    Args:
        config: The config.
        typed: Those of its dicts whose class is not known.
    """
    registry = config.registry
    for place in typed:
        node = place.node.get("type")
        name = node.value if node is not None else None
        if node is None or not isinstance(name, str) or isinstance(name, DottedName):
            continue
        if not registry.knows_scope(name) or registry.local.registers(name.rpartition(".")[2]):
            continue  # in another registry or scope, as far as the file tells
        if not _has_a_certain_registry(config, place) and registry.registries_with(name):
            continue
        if not config.is_mmseg and place.registry not in _OF_MMENGINE:
            continue  # the snapshot leaves out what other libraries register only with their optional packages
        yield place, node


def built_as_they_stand(
    config: Lookup, owners: Owners, parts: Iterable[tuple[Typed, Part]]
) -> Iterator[tuple[Typed, Part]]:
    """The parts whose dict goes to its class as it is: not what a class of the user's may have made of its own keys."""
    for place, part in parts:
        if place.node.key == "optim_wrapper" and _has_an_own_constructor(config, place.node):
            continue
        if place.is_direct or not owners.are_the_users(place):
            yield place, part


def _has_an_own_constructor(config: Lookup, optim_wrapper: Node) -> bool:
    """Whether the section is given to a constructor of the user's, which makes of it what it likes."""
    name = optim_wrapper.value.get("constructor")
    if not isinstance(name, str):
        return name is not None
    info = config.registry.find(name, "optimizer wrapper constructor")
    return info is None or info.is_of_user


class Owners:
    """The classes of the dicts that dicts stand in.

    Args:
        config: The config.
        typed: Its dicts with a `type`.
    """

    def __init__(self, config: Lookup, typed: Iterable[Typed]) -> None:
        self._config = config
        # by the id of the dict, which the config holds, so that the id stays its own
        self._registry_at = {id(place.node.value): place.registry for place in typed}

    def may_set(self, typed: Typed, key: str) -> bool:
        """Whether the dict stands in one of a class of the user's that may set this key, or take it out."""
        around = _around(typed)
        owner = None if around is None else self._class_of(around, typed)
        return owner is not None and owner.may_take_out(key)

    def are_the_users(self, typed: Typed) -> bool:
        """Whether the dict stands in one that is the user's to interpret, or nobody's who is known."""
        around = _around(typed)
        if around is None:
            return False
        owner = self._class_of(around, typed)
        return owner is None or owner.is_of_user

    def _class_of(self, around: Node, typed: Typed) -> ClassInfo | None:
        return self._config.class_of(around, self._registry_at.get(id(around.value), typed.registry))


def _has_a_certain_registry(config: Lookup, typed: Typed) -> bool:
    """Whether no other registry than the one that its place tells can build a dict."""
    if not typed.is_direct or typed.registry in _CERTAIN:
        return typed.is_direct
    around = _around(typed)
    owner = config.class_of(around) if around is not None else None
    return typed.registry in _PARTS_OF_MODELS and owner is not None and owner.dotted.startswith("mmseg.")


def unused_arguments_of(owners: Owners, parts: Iterable[tuple[Typed, Part]]) -> Iterator[UnusedArgument]:
    """The arguments that their classes do not use.

    Args:
        owners: The classes around the dicts of the config.
        parts: Those dicts that are built as they stand.
    """
    for place, part in parts:
        for key, fate in part.unused(place.slot):
            if not owners.may_set(place, key):
                yield UnusedArgument(place, part.info, Node(place.node.value[key], place.node, key), fate)


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


def misfits_of(config: Lookup, node: Node, part: Part) -> Iterator[Misfit]:
    """The values of a kind that their class does not state.

    Args:
        config: The config.
        node: A dict that goes to its class as it is.
        part: What follows of the two.
    """
    misdescribed = accepted(config.registry.snapshot.release).misdescribed
    if part.info.is_of_user:
        return
    for key, path, stated in part.misfits:
        if argument_name(part.info.dotted, key) not in misdescribed:
            argument = Node(node.value[key], node, key)
            yield Misfit(part.info, key, (argument.dig(path) if path else None) or argument, stated)


def is_for_the_runner(config: Lookup, key: str) -> bool:
    """Whether a section is given to the Runner's own method, and not to a loop of the user's, or of another package."""
    split, _, part = key.partition("_")
    loop = config.section(f"{split}_cfg")
    if part not in ("dataloader", "evaluator") or loop is None or loop.type is None:
        return True
    info = config.class_of(loop, "loop")
    return info is not None and info.scope == ROOT_SCOPE and not info.is_of_user


def loader_part_of(config: Lookup, section: str) -> Iterator[tuple[Node, Part]]:
    """A section of a data loader, whose values go to torch's class, which no `type` names; of another section, none."""
    node = config.section(section) if section in LOADERS else None
    data_loader = config.registry.find_dotted(DATA_LOADER) if node is not None else None
    if node is not None and data_loader is not None and is_for_the_runner(config, section):
        yield node, config.class_cache.part(node.value, data_loader)


def _around(typed: Typed) -> Node | None:
    """The nearest dict around this one that names a class; the top level is none, whatever a variable `type` is for."""
    around = typed.node.parent
    while around is not None and around.parent is not None:
        if isinstance(around.value, dict) and "type" in around.value:
            return around
        around = around.parent
    return None
