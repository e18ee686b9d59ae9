"""Every dict of a config that names a class, and the registry that will build it: known by where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from provecfg.mmconfig import Node
from provecfg.registry.layout import IMPLIED_TYPES, TOP_LEVEL


@dataclass(frozen=True, slots=True)
class Typed:
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


_BUILT: Final = {
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


def typed_nodes(root: Node) -> list[Typed]:
    """All of them, in the order of the config; an object that stands at several places, once."""
    typed: list[Typed] = []
    seen: set[int] = set()
    for key, registry in _BUILT.items():
        node = root.get(key)
        if node is not None and isinstance(node.value, (dict, list, tuple)):
            _collect(node, registry, key, typed, seen, 0)
    return typed


def _collect(node: Node, registry: str, slot: str, typed: list[Typed], seen: set[int], depth: int) -> None:
    value = node.value
    if depth > _DEEPEST:
        return
    if not isinstance(value, dict):
        for index, child in enumerate(value):
            if child and isinstance(child, (dict, list, tuple)):
                _collect(Node(child, node, index), registry, slot, typed, seen, depth + 1)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    type_name = value.get("type", IMPLIED_TYPES.get(slot) if depth == 0 else None)
    if registry and isinstance(type_name, str):
        typed.append(Typed(node, registry, slot, slot in _DIRECT_SLOTS))
        if type_name == "Albu":
            return  # its transforms are albumentations'
    for key, child in value.items():
        if child and isinstance(child, (dict, list, tuple)):
            child_registry, child_slot = _registry_and_slot(registry, slot, key)
            _collect(Node(child, node, key), child_registry, child_slot, typed, seen, depth + 1)


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
