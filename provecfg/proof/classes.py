"""The classes that dicts of a config name."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from typing import Any

from mmengine.registry import Registry, root


def class_of(config: Any, registry: Registry) -> Any:
    """The class that a dict of the config names in `type`, or the class of an object that the config holds instead.

    Returns:
        None where the registry, in the present scope, knows no such class.
    """
    named = config.get("type") if isinstance(config, dict) else type(config)
    cls = registry.get(named) if isinstance(named, str) else named
    return cls if isinstance(cls, type) else None


def is_registered(name: str, scope: Any) -> bool:
    """Whether a registry of a scope has a class of this name; mmengine imports the scope's package to see that."""
    trees = (value for value in vars(root).values() if isinstance(value, Registry))
    return any(_has(tree, f"{scope}.{name}") for tree in trees)


def _has(registry: Registry, name: str) -> bool:
    with contextlib.suppress(Exception):  # whatever a package raises when it is imported
        return registry.get(name) is not None
    return False


def is_scope(name: str) -> bool:
    """Whether mmengine finds a scope: a registry of it is there, or a package of its name, which it would import."""
    trees = (value for value in vars(root).values() if isinstance(value, Registry))
    if any(name == tree.scope or name in tree.children for tree in trees):
        return True
    try:
        return find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
