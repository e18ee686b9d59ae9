"""mmengine's ways to merge one config into another. Nothing is changed in place: results share what did not change."""

from __future__ import annotations

from typing import Any, NamedTuple

from provecfg.mmconfig.budget import MAX_NESTING
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple, Opaque, Origin

DELETE_KEY = "_delete_"
SCOPE_KEY = "_scope_"


class Clash(NamedTuple):
    """A dict that cannot be merged into what its base has under the same key.

    Args:
        key: Dotted path.
        base_type: What the base has there: `list`, `int`, ...
        origin: Where the child says it.
    """

    key: str
    base_type: str
    origin: Origin | None


def merge_child(child: ConfigDict, base: ConfigDict, clashes: list[Clash], path: str = "") -> ConfigDict:
    """mmengine's Config._merge_a_into_b: `child` over `base`, dicts key by key, all else replaced.

    Where it raises TypeError, a `Clash` is added and the child's value kept.
    """
    merged = base.copy()
    origins = merged.origins
    for key, value in child.items():
        if isinstance(value, ConfigDict) and key in base:
            deletes = value.get(DELETE_KEY, False)
            if DELETE_KEY in value:
                value = without(value, DELETE_KEY)
            if not deletes:
                below = base[key]
                if isinstance(below, ConfigDict):
                    value = merge_child(value, below, clashes, f"{path}{key}.")
                elif isinstance(below, Opaque):
                    value = below
                else:
                    clashes.append(Clash(f"{path}{key}", _plain_name(below), child.origins.get(key)))
        merged[key] = value
        origin = child.origins.get(key)
        if origin is None:
            origins.pop(key, None)
        else:
            origins[key] = origin
    return merged


def without(mapping: ConfigDict, key: str) -> ConfigDict:
    """A copy of `mapping` without one key."""
    copy = mapping.copy()
    copy.pop(key, None)
    copy.origins.pop(key, None)
    return copy


def merge_mmengine_dict(child: ConfigDict, base: ConfigDict) -> ConfigDict:
    """mmengine's ConfigDict.merge: as above, but a dict replaces what is not one, and `_delete_` goes everywhere."""
    child_values = without(child, DELETE_KEY)
    merged = ConfigDict() if child.get(DELETE_KEY, False) else base.copy()
    merged.pop(DELETE_KEY, None)
    for key, value in child_values.items():
        below = merged.get(key)
        if isinstance(value, ConfigDict):
            value = merge_mmengine_dict(value, below) if isinstance(below, ConfigDict) else without(value, DELETE_KEY)
        merged.put(key, value, child_values.origins.get(key))
    return merged


def with_scope(value: Any, scope: str, *, outermost: bool = True) -> Any:
    """`value` with `_scope_` in each outermost dict that has a `type`, as mmengine marks bases of other packages."""
    if isinstance(value, ConfigDict):
        marked = value.copy()
        if outermost and "type" in value:
            outermost = False
            if value.get(SCOPE_KEY) is None:
                marked.put(SCOPE_KEY, scope, None)
        for key, item in value.items():
            if isinstance(item, (dict, list, tuple)):
                marked[key] = with_scope(item, scope, outermost=outermost)
        return marked
    if isinstance(value, (ConfigList, ConfigTuple)):
        made = ConfigTuple if isinstance(value, tuple) else ConfigList
        return made([with_scope(item, scope, outermost=outermost) for item in value], list(value.origins))
    return value


class OptionError(Exception):
    """An option that cannot be merged; the message says why."""


def merge_options(options: ConfigDict, base: Any, path: str = "") -> Any:
    """mmengine's Config.merge_from_dict: as `merge_child`, and digits are indices where the base has a list.

    Raises:
        OptionError: mmengine raises KeyError, TypeError or AttributeError.
    """
    if not isinstance(base, (ConfigDict, ConfigList)):
        raise OptionError(f"{path or 'the config'} is of type {_plain_name(base)} and cannot be merged into")
    merged = base.copy()
    for key, value in options.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(merged, ConfigList):
            if not (isinstance(key, str) and key.isdigit()):
                raise OptionError(f"{path} is a list, and {key!r} is no index of it")
            index = int(key)
            if index >= len(merged):
                raise OptionError(f"index {index} is past the end of {path}, which has {len(merged)} items")
            if not isinstance(value, ConfigDict):
                raise OptionError(f"{here} is an item of a list, which only a dict can be merged into")
            merged[index] = merge_options(value, merged[index], here)
            continue
        if isinstance(value, ConfigDict):
            deletes = value.get(DELETE_KEY, False)
            if key in merged:
                value = without(value, DELETE_KEY)
                if not deletes:
                    if isinstance(merged[key], Opaque):
                        continue
                    # What stood here keeps its origin: only items below it are new.
                    merged[key] = merge_options(value, merged[key], here)
                    continue
        merged.put(key, value, None)
    return merged


def options_as_dict(options: tuple[tuple[str, Any], ...]) -> ConfigDict:
    """`(("a.b", 1), ...)` as `{"a": {"b": 1}}`.

    Raises:
        OptionError: A path leads through another option's value that is not a dict.
    """
    made = ConfigDict()
    for dotted, value in dict(options).items():
        inner = made
        *steps, last = dotted.split(".")
        if len(steps) >= MAX_NESTING:
            raise OptionError(f"{dotted[:100]}... has {len(steps) + 1} steps, more than any config")
        for step in steps:
            inner = inner.setdefault(step, ConfigDict())
            if not isinstance(inner, ConfigDict):
                raise OptionError(f"{dotted} leads through another option's value, which is not a dict")
        inner[last] = config_value(value)
    return made


def config_value(value: Any) -> Any:
    """Plain dicts, lists and tuples as the config's own, without origins."""
    if isinstance(value, dict):
        return ConfigDict({key: config_value(item) for key, item in value.items()})
    if isinstance(value, tuple):
        return ConfigTuple(config_value(item) for item in value)
    if isinstance(value, list):
        return ConfigList(config_value(item) for item in value)
    return value


def _plain_name(value: Any) -> str:
    for plain in (dict, list, tuple, str):
        if isinstance(value, plain):
            return plain.__name__
    return type(value).__name__
