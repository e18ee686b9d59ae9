"""The hooks that a config sets up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provecfg.facts.lookup import Lookup
from provecfg.mmconfig import Node
from provecfg.registry.layout import CHECKPOINT_HOOKS


def hooks_of(config: Lookup) -> tuple[Node, ...]:
    """Every hook's dict: the default ones, then the custom ones."""
    default, custom = config.section("default_hooks"), config.get("custom_hooks")
    hooks = list(default) if default is not None else []
    if custom is not None and custom.is_list:
        hooks += list(custom)
    return tuple(hook for hook in hooks if hook.is_dict)


def hooks_of_family(config: Lookup, hooks: Iterable[Node], family: tuple[str, ...]) -> Iterator[Node]:
    """Those of one of these classes, or of one that inherits from it."""
    for hook in hooks:
        kind = hook.type
        if kind in family:
            yield hook
        elif kind is not None and kind.endswith("Hook"):
            info = config.class_of(hook, "hook")
            if info is not None and any(info.is_a(name) for name in family):
                yield hook


def checkpoint_hooks_of(config: Lookup, hooks: Iterable[Node]) -> Iterator[Node]:
    """Those that save checkpoints. The default one needs no `type`."""
    default = config.section("default_hooks.checkpoint")
    if default is not None and default.type is None:
        yield default
    yield from hooks_of_family(config, hooks, CHECKPOINT_HOOKS)
