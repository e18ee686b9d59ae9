"""Values that an argument is tried with in place of its own, by operators that know nothing of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from provecfg.registry.domains import ITEMS, KINDS

Values = dict[str, Any]
"""The arguments of a class, as a config gives them."""

_TEXTS: Final = ("no_such_word", "7")
_MOST_ITEMS: Final = 4
"""Items of a list that are changed one at a time: the first ones."""


def paths_of(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The arguments, and those of dicts without a `type` in them; a list's items as a path of their own, after it."""
    for key, value in values.items():
        if not isinstance(key, str) or key in ("type", "_scope_") or "." in key:
            continue
        path = f"{prefix}{key}"
        yield path
        if isinstance(value, dict) and "type" not in value:
            yield from paths_of(value, f"{path}.")
        elif isinstance(value, (list, tuple)) and value and all(_is_plain(item) for item in value):
            yield f"{path}{ITEMS}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (int, float, str))


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """What stands at a path; of a path of items, the list."""
    value: Any = values
    for step in path.removesuffix(ITEMS).split("."):
        value = value[step]
    return value


def with_value(values: Values, path: str, value: Any) -> Values:
    """The arguments with another value at a path."""
    changed = copy.deepcopy(values)
    *outer, last = path.removesuffix(ITEMS).split(".")
    holder: Any = changed
    for step in outer:
        holder = holder[step]
    holder[last] = copy.deepcopy(value)
    return changed


def without(values: Values, path: str) -> Values:
    """The arguments without what stands at a path."""
    changed = copy.deepcopy(values)
    *outer, last = path.split(".")
    holder: Any = changed
    for step in outer:
        holder = holder[step]
    del holder[last]
    return changed


def variations(value: Any, path: str, texts: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Values by kind, each of which takes the place of what stands at a path.

    Args:
        value: What stands there.
        path: Where.
        texts: Texts that the class may know, tried beside arbitrary ones.

    Returns:
        Kind -> values of it. Of a path of items, lists with one item of the kind.
    """
    if not path.endswith(ITEMS):
        return {kind: tried for kind, tried in _of_one(value, texts).items() if not KINDS[kind](value)}
    by_kind: dict[str, list[Any]] = {}
    for index, item in enumerate(value[:_MOST_ITEMS]):
        for kind, tried in _of_one(item, texts).items():
            if not any(KINDS[kind](other) for other in value):
                by_kind.setdefault(kind, []).extend(_with_item(value, index, other) for other in tried)
    return by_kind


def _with_item(items: list[Any] | tuple[Any, ...], index: int, item: Any) -> list[Any] | tuple[Any, ...]:
    return type(items)([*items[:index], item, *items[index + 1 :]])


def _of_one(value: Any, texts: Sequence[str]) -> dict[str, list[Any]]:
    by_kind: dict[str, list[Any]] = {"None": [None], "a text": [*_TEXTS, *texts]}
    if isinstance(value, (int, float)):
        by_kind["a dict"] = [{}, {"value": 1}]
        by_kind["a list"] = [[value], [value, value], (value, value), [value] * 3, [], [0, 1]]
        by_kind["a list of texts"] = [["no_such_word"], ["7", "8"]]
    elif isinstance(value, (list, tuple)):
        items = [item for item in value if isinstance(item, (int, float))]
        by_kind["a dict"] = [{}, {"value": 1}]
        by_kind["a number"] = [1, 0, 2.5, *items[:1]]
        by_kind["a list of texts"] = [["no_such_word"] * len(value), ["7"] * len(value), ["no_such_word"]]
    else:
        by_kind["a number"] = [1, 0, 2.5]
        by_kind["a list"] = [[], [1], [1, 2], (1, 2, 3)]
        by_kind["a list of texts"] = [["no_such_word"], [value] if isinstance(value, str) else ["7"], ["7", "8"]]
        if isinstance(value, str):
            by_kind["a dict"] = [{}, {"value": 1}]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        by_kind["zero"] = [0]
        by_kind["a fraction"] = [0.5, 1.5, value + 0.5 if isinstance(value, int) else value + 0.25]
        if isinstance(value, int):
            by_kind["a whole number as a float"] = [float(value), float(value + 1), 4.0]
            by_kind["negative"] = [-1, -2, -max(value, 3), -100]
        else:
            by_kind["below 0"] = [-1, -0.5, -0.01, -100.0]
            by_kind["above 1"] = [1.02, 1.5, 2, 100.0]
    return by_kind
