"""The hooks that a config sets up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from provecfg.facts.lookup import Lookup
from provecfg.mmconfig import Node
from provecfg.registry.layout import CHECKPOINT_HOOKS


class WatchedMetric(NamedTuple):
    """A metric that a hook goes by.

    Args:
        hook: The hook's dict.
        node: Where the hook names the metric.
        name: What it names.
    """

    hook: Node
    node: Node
    name: str


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


def monitored_metrics_of(hooks: Iterable[Node]) -> Iterator[WatchedMetric]:
    """The metrics that early-stopping hooks watch."""
    for hook in hooks:
        monitor = hook.get("monitor")
        if monitor is not None and isinstance(monitor.value, str):
            yield WatchedMetric(hook, monitor, monitor.value)


def best_metrics_of(hooks: Iterable[Node]) -> Iterator[WatchedMetric]:
    """The metrics whose best checkpoint these checkpoint hooks save; `auto` names none."""
    for hook in hooks:
        node = hook.get("save_best")
        for metric in [] if node is None else list(node) if node.is_list else [node]:
            if isinstance(metric.value, str) and metric.value != "auto":
                yield WatchedMetric(hook, metric, metric.value)
