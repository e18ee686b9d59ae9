"""The classes that dicts of a config name."""

from __future__ import annotations

from typing import Any

from mmengine.registry import Registry


def class_of(config: Any, registry: Registry) -> Any:
    """The class that a dict of the config names in `type`, or the class of an object that the config holds instead.

    Returns:
        None where the registry, in the present scope, knows no such class.
    """
    named = config.get("type") if isinstance(config, dict) else type(config)
    cls = registry.get(named) if isinstance(named, str) else named
    return cls if isinstance(cls, type) else None
