"""What a config's bases leave in it, and what it drops of theirs, without saying so."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from provecfg.findings import Finding
from provecfg.mmconfig.view import ConfigView, Layer, Node
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.problems import DROPPED_HOOK, INHERITED_ARGUMENT


def leftovers(view: ConfigView | None, parts: Parts) -> Iterator[Finding]:
    """Findings that only the files show: in the merged config nothing is wrong."""
    if view is None or len(view.layers) < 2:
        return
    for key, (registry, cls) in parts.built.items():
        if registry == "model" and "loss" in key:
            yield from _inherited(view, key, cls)
    yield from _dropped_hooks(view)


def _inherited(view: ConfigView, key: str, cls: type) -> Iterator[Finding]:
    """Arguments of a base's loss that its successor was built with, and does not have by default."""
    node = view.dig(key)
    named = node.get("type") if node is not None else None
    if node is None or named is None:
        return
    before = next(
        (
            (layer.file.name, str(old.value))
            for layer in view.layers
            if layer.file != named.file and (old := layer.root.dig(f"{key}.type")) is not None
        ),
        None,
    )
    if before is None or before[1] == str(named.value):
        return
    parameters = inspect.signature(cls).parameters
    kept = [
        f"{child.name}={child.value!r}"
        for child in node
        if child.file != named.file and child.name in parameters and not _is_default(parameters[child.name], child)
    ]
    if kept:
        yield Finding(
            INHERITED_ARGUMENT,
            f"{named.value} is built with {', '.join(kept)}, said for {before[1]} in {before[0]}",
            key,
            hint="add _delete_=True, or say the arguments here, too",
        )


def _is_default(parameter: inspect.Parameter, child: Node) -> bool:
    default: Any = parameter.default
    return bool(default == child.value) and type(default) is type(child.value)


def _dropped_hooks(view: ConfigView) -> Iterator[Finding]:
    said = [layer for layer in view.layers if "custom_hooks" in layer.values]
    if len(said) < 2:
        return
    child, base = said[0], said[1]
    if "_base_.custom_hooks" in child.source.text:
        return
    kept = set(_hook_types(child))
    dropped = [name for name in _hook_types(base) if name not in kept]
    if dropped and kept:
        yield Finding(
            DROPPED_HOOK,
            f"custom_hooks replaces the list of {base.file.name}: {', '.join(dropped)} does not run",
            "custom_hooks",
            hint="repeat it here, or write custom_hooks = _base_.custom_hooks + [...]",
        )


def _hook_types(layer: Layer) -> list[str]:
    hooks = layer.root.get("custom_hooks")
    return [hook.type for hook in hooks if hook.type is not None] if hooks is not None else []
