"""Every dict of a config that names a class, and the registry that will build it: known by where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from provecfg.mmconfig import Node
from provecfg.registry.layout import IMPLIED_TYPES, TOP_LEVEL


class Typed(NamedTuple):
    """A dict with a `type`, or at the top level where it has one without saying so.

    Args:
        node: It.
        registry: mmengine's name of the registry that builds it (`model`, `hook`).
        slot: The key it stands under; of a list's item, the list's key.
        is_direct: It is built from this dict alone, so that every required argument has to stand in it.
    """

    node: Node
    registry: str
    slot: str
    is_direct: bool


BUILT: Final = {
    **{key: registry for key, registry in TOP_LEVEL.items() if registry is not None},
    "vis_backends": "vis_backend",
}
"""Top-level keys that are built, and the registry, and the one variable that every config has; other variables are
judged where they are used."""

_SLOTS: Final = {
    "dataset": "dataset",
    "datasets": "dataset",
    "pipeline": "transform",
    "transforms": "transform",
    "optimizer": "optimizer",
    "vis_backends": "vis_backend",
    "init_cfg": "weight initializer",
    "assigner": "task util",
    "match_costs": "task util",
}
"""Keys whose dicts are built by another registry than what they stand in."""

_DIRECT_SLOTS: Final = frozenset(
    {
        "model",
        "backbone",
        "neck",
        "decode_head",
        "auxiliary_head",
        "data_preprocessor",
        "loss_decode",
        "loss_cls",
        "loss_mask",
        "loss_dice",
        "dataset",
        "datasets",
        "pipeline",
        "sampler",
        "optimizer",
        "optim_wrapper",
        "param_scheduler",
        "val_evaluator",
        "test_evaluator",
        "custom_hooks",
        "default_hooks",
        "train_cfg",
        "val_cfg",
        "test_cfg",
        "visualizer",
        "vis_backends",
    }
)
_DEEPEST: Final = 60


class _Container(NamedTuple):
    """A dict, list or tuple of a section that may hold a dict with a `type`, or is one.

    Args:
        outer: Index of the one that it stands in, among the section's; -1 for the section itself.
        step: Its key or index there.
        value: It.
        typed: Registry, slot and whether it is direct, of one that names a class; see `Typed`.
    """

    outer: int
    step: Any
    value: Any
    typed: tuple[str, str, bool] | None


Containers = tuple[_Container, ...]


def containers_in(value: Any, key: str, registry: str) -> Containers:
    """What stands in a section of the top level, outer ones first.

    Args:
        value: The section.
        key: Its key.
        registry: The registry that builds it, or ''.
    """
    containers: list[_Container] = []
    _collect(value, registry, key, -1, None, containers, set(), 0)
    return tuple(containers)


def _collect(
    value: Any,
    registry: str,
    slot: str,
    outer: int,
    step: Any,
    containers: list[_Container],
    seen: set[int],
    depth: int,
) -> None:
    is_dict = isinstance(value, dict)
    if depth > _DEEPEST or (is_dict and id(value) in seen):
        return
    index = len(containers)
    type_name = value.get("type", IMPLIED_TYPES.get(slot) if depth == 0 else None) if is_dict else None
    if is_dict:
        seen.add(id(value))
    typed = (registry, slot, slot in _DIRECT_SLOTS) if registry and isinstance(type_name, str) else None
    containers.append(_Container(outer, step, value, typed))
    if typed is None or type_name != "Albu":  # its transforms are albumentations'
        for key, child in value.items() if is_dict else enumerate(value):
            if child and _may_hold_a_dict(child):
                inner = _registry_and_slot(registry, slot, key) if is_dict else (registry, slot)
                _collect(child, *inner, index, key, containers, seen, depth + 1)


def _may_hold_a_dict(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    return isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value)


def typed_nodes(root: Node) -> list[Typed]:
    """All of them, in the order of the config; an object that stands in several sections, once.

    Args:
        root: The top of the config.
    """
    sections = ((root.get(key), key, registry) for key, registry in BUILT.items())
    return once_each(
        part
        for section, key, registry in sections
        if section is not None and (section.is_dict or section.is_list)
        for part in typed_in(section, containers_in(section.value, key, registry))
    )


def once_each(typed: Iterable[Typed]) -> list[Typed]:
    """Those given, an object that stands at several places where it stands first."""
    firsts: dict[int, Typed] = {}
    for part in typed:
        firsts.setdefault(id(part.node.value), part)
    return list(firsts.values())


def typed_in(section: Node, containers: Containers) -> Iterator[Typed]:
    """Those of a section; an object that stands in it at several places, once.

    Args:
        section: The section.
        containers: What stands in it.
    """
    nodes: list[Node] = []
    for container in containers:
        node = section if container.outer < 0 else Node(container.value, nodes[container.outer], container.step)
        nodes.append(node)
        if container.typed is not None:
            yield Typed(node, *container.typed)


def _registry_and_slot(registry: str, slot: str, key: Any) -> tuple[str, str]:
    """Of what stands under a key of a dict that has these."""
    if not isinstance(key, str):
        return registry, slot
    if key == "sampler":
        # a loader's sampler, and a head's pixel sampler or mask sampler
        return ("data sampler" if registry == "" else "task util"), key
    if key == "batch_sampler":
        return "data sampler", key
    if slot == "default_hooks":  # by name: timer, logger, ...
        return registry, slot
    return _SLOTS.get(key, registry), key
