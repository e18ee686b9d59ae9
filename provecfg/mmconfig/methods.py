"""The methods of strings, lists, dicts and sets that configs may call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provecfg.mmconfig.budget import MAX_FORMAT_WIDTH, LimitError
from provecfg.mmconfig.formatting import format_braces
from provecfg.mmconfig.functions import (
    Keywords,
    copy_value,
    deep_copy,
    fill_dict,
    items_of,
    key_of,
    sorted_list,
    spend_whole_or_not_known,
)
from provecfg.mmconfig.merge import merge_mmengine_dict
from provecfg.mmconfig.operators import origins_of
from provecfg.mmconfig.reader import Reader
from provecfg.mmconfig.sizes import SCALARS, spend_whole
from provecfg.mmconfig.special import Iterated, NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple

Run = Callable[[Reader, Any, list[Any], Keywords], Any]


def call_method(reader: Reader, receiver: Any, name: str, positional: list[Any], keywords: Keywords) -> Any:
    """`receiver.name(*positional, **keywords)`.

    Raises:
        NotKnownError: The method is not one of those.
        AttributeError, and what the method raises: As Python does.
    """
    if isinstance(receiver, str):
        return _call_text(reader, receiver, name, positional, keywords)
    for kind, methods in _METHODS:
        if isinstance(receiver, kind):
            if isinstance(receiver, ConfigDict) and receiver.by_attribute and name in _MMENGINE_DICT:
                return _MMENGINE_DICT[name](reader, receiver, positional, keywords)
            if name in methods:
                return methods[name](reader, receiver, positional, keywords)
            if not hasattr(kind, name):
                raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
            break
    raise NotKnownError(f"the method {name!r}")


# Strings

_PURE_TEXT_LISTED = """
    capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit isidentifier islower isnumeric
    isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex rpartition rsplit rstrip
    split splitlines startswith strip swapcase title upper
"""
_PURE_TEXT = frozenset(_PURE_TEXT_LISTED.split())
_PADDING = frozenset(("center", "ljust", "rjust", "zfill"))


def _call_text(reader: Reader, text: str, name: str, positional: list[Any], keywords: Keywords) -> Any:
    budget = reader.budget
    budget.spend_text(len(text))
    if name == "format":
        return format_braces(text, positional, keywords, budget)
    if name == "join":
        if len(positional) != 1:
            raise TypeError("str.join() takes exactly one argument")
        items = items_of(positional[0], reader)[0]
        if not all(isinstance(item, str) for item in items):
            if all(isinstance(item, (*SCALARS, dict, list, tuple)) for item in items):
                raise TypeError("join() takes one iterable of str")
            raise NotKnownError("an item to join is not known")
        budget.spend_text(sum(map(len, items)) + len(text) * len(items))
        return text.join(items)
    arguments = [*positional, *keywords.values()]
    if not all(isinstance(value, SCALARS) or _is_text_tuple(value) for value in arguments):
        if all(isinstance(value, (*SCALARS, dict, list, tuple)) for value in arguments):
            raise TypeError(f"str.{name}() takes no such argument")
        raise NotKnownError("an argument that is not known")
    if name == "replace":
        if len(positional) >= 2 and isinstance(positional[0], str) and isinstance(positional[1], str):
            budget.spend_text(len(text) + text.count(positional[0]) * len(positional[1]))
        return text.replace(*positional, **keywords)
    if name in _PADDING:
        if positional and isinstance(positional[0], int) and positional[0] > MAX_FORMAT_WIDTH:
            raise LimitError("the width of a string is too large")
        return getattr(text, name)(*positional)
    if name in ("split", "rsplit", "splitlines"):
        separator = positional[0] if positional and isinstance(positional[0], str) else keywords.get("sep")
        # Without a separator, every other character can become an item.
        budget.spend(text.count(separator) if isinstance(separator, str) else len(text) // 2)
    if name in _PURE_TEXT:
        result = getattr(text, name)(*positional, **keywords)
        if isinstance(result, list):
            budget.spend(len(result))
            return ConfigList(result)
        return ConfigTuple(result) if isinstance(result, tuple) else result
    if not hasattr(str, name):
        raise AttributeError(f"'str' object has no attribute {name!r}")
    raise NotKnownError(f"the method {name!r}")


def _is_text_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


# Lists and tuples


def _append(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    (value,) = positional
    items.append(value)
    items.origins.append(reader.argument_origin(0))


def _extend(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    (other,) = positional
    more, origins = items_of(other, reader)
    items += more
    items.origins += origins


def _insert(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    index, value = positional
    items.insert(index, value)
    items.origins.insert(index, reader.argument_origin(1))


def _list_pop(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> Any:
    value = items.pop(*positional)
    items.origins.pop(*positional)
    return value


def _remove(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    index = _index(reader, items, positional, keywords)
    del items[index]
    del items.origins[index]


def _index(reader: Reader, items: Any, positional: list[Any], keywords: Keywords) -> int:
    spend_whole(items, reader.budget)
    spend_whole(positional[0] if positional else None, reader.budget)
    return int(items.index(*positional))


def _count(reader: Reader, items: Any, positional: list[Any], keywords: Keywords) -> int:
    (value,) = positional
    spend_whole(items, reader.budget)
    spend_whole(value, reader.budget)
    return int(items.count(value))


def _reverse(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    reader.budget.spend(len(items))
    items.reverse()
    items.origins.reverse()


def _sort(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    ordered = sorted_list(reader, list(items), list(items.origins), keywords)
    items[:] = ordered
    items.origins[:] = ordered.origins


def _list_clear(reader: Reader, items: ConfigList, positional: list[Any], keywords: Keywords) -> None:
    items.clear()
    items.origins.clear()


def _copy(reader: Reader, items: Any, positional: list[Any], keywords: Keywords) -> Any:
    return copy_value(items, reader)


# Dicts


def _get(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Any:
    key, *default = positional
    return mapping.get(key_of(key, reader), *default, **keywords)


def _keys(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Iterated:
    reader.budget.spend(len(mapping))
    return Iterated(mapping, sources=[mapping])


def _values(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Iterated:
    reader.budget.spend(len(mapping))
    return Iterated(mapping.values(), [mapping.origins.get(key) for key in mapping], [mapping])


def _items(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Iterated:
    reader.budget.spend(len(mapping))
    pairs = (ConfigTuple(item, (None, mapping.origins.get(item[0]))) for item in mapping.items())
    return Iterated(pairs, sources=[mapping])


def _update(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> None:
    for other in positional:
        fill_dict(mapping, other, reader)
    mapping.update(keywords)
    mapping.origins.update(keywords.origins)


def _dict_pop(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Any:
    key, *default = positional
    value = mapping.pop(key_of(key, reader), *default)
    mapping.origins.pop(key, None)
    return value


def _popitem(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> ConfigTuple:
    key, value = mapping.popitem()
    return ConfigTuple((key, value), (None, mapping.origins.pop(key, None)))


def _setdefault(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Any:
    key, *default = positional
    if key_of(key, reader) not in mapping:
        value = default[0] if default else None
        mapping.put(key, hooked(value, reader) if mapping.by_attribute else value, reader.argument_origin(1))
    return mapping[key]


def _dict_clear(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> None:
    mapping.clear()
    mapping.origins.clear()


# mmengine's own dict, as bases give it


def hooked(value: Any, reader: Reader) -> Any:
    """`value` as mmengine's dict stores it: plain dicts, and those in lists, become its own kind, copied."""
    if isinstance(value, ConfigDict):
        if value.by_attribute:
            return value
        spend_whole_or_not_known(value, reader)
        return ConfigDict(
            {key: hooked(item, reader) for key, item in value.items()}, dict(value.origins), by_attribute=True
        )
    if isinstance(value, (ConfigList, ConfigTuple)) and not isinstance(value, Iterated):
        spend_whole_or_not_known(value, reader)
        made = ConfigTuple if isinstance(value, tuple) else ConfigList
        return made([hooked(item, reader) for item in value], origins_of(value))
    return value


def _merging_update(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> None:
    """mmengine ConfigDict.update: dicts are merged into dicts."""
    other = ConfigDict()
    if len(positional) > 1:
        raise TypeError("update only accept one positional argument")
    if positional:
        if not isinstance(positional[0], dict):
            raise TypeError("update() takes a dict here")
        fill_dict(other, positional[0], reader)
    other.update(keywords)
    other.origins.update(keywords.origins)
    _update_by_merging(mapping, other, reader)


def _update_by_merging(mapping: ConfigDict, other: ConfigDict, reader: Reader) -> None:
    reader.budget.spend(len(other))
    for key, value in other.items():
        current = mapping.get(key)
        if isinstance(current, ConfigDict) and isinstance(value, ConfigDict):
            if current.by_attribute:
                _update_by_merging(current, value, reader)
            else:
                fill_dict(current, value, reader)
        else:
            mapping.put(key, hooked(value, reader), other.origins.get(key))


def _pop_or_none(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> Any:
    key, *default = positional
    return _dict_pop(reader, mapping, [key, default[0] if default else keywords.get("default")], Keywords())


def _merge(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> None:
    (other,) = positional
    if not isinstance(other, ConfigDict):
        raise TypeError("merge() takes a dict")
    spend_whole_or_not_known(other, reader)
    merged = merge_mmengine_dict(other, mapping)
    mapping.clear()
    mapping.origins.clear()
    for key, value in merged.items():
        mapping.put(key, hooked(value, reader), merged.origins.get(key))


def _to_dict(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> ConfigDict:
    made: ConfigDict = deep_copy(mapping, reader, by_attribute=False)
    return made


def _deepcopy(reader: Reader, mapping: ConfigDict, positional: list[Any], keywords: Keywords) -> ConfigDict:
    made: ConfigDict = deep_copy(mapping, reader)
    return made


# Sets


def _on_sets(name: str) -> Run:
    def run(reader: Reader, items: set[Any], positional: list[Any], keywords: Keywords) -> Any:
        others = [{key_of(item, reader) for item in items_of(value, reader, any_order=True)[0]} for value in positional]
        reader.budget.spend(len(items))
        return getattr(items, name)(*others)

    return run


def _on_elements(name: str) -> Run:
    def run(reader: Reader, items: set[Any], positional: list[Any], keywords: Keywords) -> Any:
        return getattr(items, name)(*(key_of(value, reader) for value in positional))

    return run


_LIST: dict[str, Run] = {
    "append": _append,
    "clear": _list_clear,
    "copy": _copy,
    "count": _count,
    "extend": _extend,
    "index": _index,
    "insert": _insert,
    "pop": _list_pop,
    "remove": _remove,
    "reverse": _reverse,
    "sort": _sort,
}
_TUPLE: dict[str, Run] = {"count": _count, "index": _index}
_DICT: dict[str, Run] = {
    "clear": _dict_clear,
    "copy": _copy,
    "get": _get,
    "items": _items,
    "keys": _keys,
    "pop": _dict_pop,
    "popitem": _popitem,
    "setdefault": _setdefault,
    "update": _update,
    "values": _values,
}
_MMENGINE_DICT: dict[str, Run] = {
    "deepcopy": _deepcopy,
    "merge": _merge,
    "pop": _pop_or_none,
    "to_dict": _to_dict,
    "update": _merging_update,
}
_SET: dict[str, Run] = {
    **{name: _on_sets(name) for name in ("difference", "intersection", "issubset", "issuperset", "union", "update")},
    **{name: _on_elements(name) for name in ("add", "discard", "remove")},
    "copy": _copy,
}
_METHODS: tuple[tuple[type, dict[str, Run]], ...] = (
    (list, _LIST),
    (tuple, _TUPLE),
    (dict, _DICT),
    (set, _SET),
)
