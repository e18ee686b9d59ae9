"""The functions that configs may call: Python's builtins without side effects, `math`, and pure path functions."""

from __future__ import annotations

import ast
import itertools
import math
import os.path
from collections.abc import Callable, Sequence
from typing import Any

from provecfg.mmconfig.budget import MAX_FORMAT_WIDTH, LimitError
from provecfg.mmconfig.effects import changed_names, is_pure_method, size_of_syntax
from provecfg.mmconfig.formatting import format_value, text_of
from provecfg.mmconfig.operators import origins_of
from provecfg.mmconfig.reader import Reader
from provecfg.mmconfig.sizes import SCALARS, spend_whole
from provecfg.mmconfig.special import Builtin, Iterated, LocalFunction, Method, NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple, Origin

Keywords = ConfigDict
"""Keyword arguments by name, with where each was written."""


def items_of(value: Any, reader: Reader, *, any_order: bool = False) -> tuple[list[Any], list[Origin | None]]:
    """What iterating over `value` gives, with origins.

    Raises:
        LimitError: That is too much.
        NotKnownError: The order is up to chance, or the value is not known.
        TypeError: As Python does.
    """
    if isinstance(value, (list, tuple, str, dict, range, set, frozenset)):
        count = len(value) if not isinstance(value, range) else _length(value)
        reader.budget.spend(1 + count)
    if isinstance(value, Iterated) and not value.is_current(reader.doubtful):
        raise NotKnownError("an iterator over what has changed since")
    if isinstance(value, (list, tuple)):
        return list(value), origins_of(value)
    if isinstance(value, dict):
        return list(value), [None] * len(value)
    if isinstance(value, (str, range)):
        made = list(value)
        return made, [None] * len(made)
    if isinstance(value, (set, frozenset)):
        if not any_order and len(value) > 1 and any(isinstance(item, (str, tuple)) for item in value):
            raise NotKnownError("the order of a set changes from run to run")
        return list(value), [None] * len(value)
    if isinstance(value, SCALARS):
        raise TypeError(f"{type(value).__name__!r} object is not iterable")
    raise NotKnownError("what is iterated over is not known")


def key_of(value: Any, reader: Reader) -> Any:
    """`value` as a key of a dict or an element of a set.

    Raises:
        TypeError: It is not hashable.
        NotKnownError: It is not known.
    """
    if isinstance(value, SCALARS):
        return value
    if isinstance(value, Iterated):
        raise NotKnownError("an iterator as a key")
    if isinstance(value, (list, dict, set)):
        raise TypeError(f"unhashable type: {type(value).__name__.removeprefix('Config').lower()!r}")
    spend_whole(value, reader.budget)
    hash(value)
    return value


def _length(value: Any) -> int:
    try:
        return len(value)
    except OverflowError:
        raise LimitError("a range is too long") from None


def _check_count(name: str, positional: Sequence[Any], least: int, most: int) -> None:
    if not least <= len(positional) <= most:
        raise TypeError(f"{name}() takes {least} to {most} arguments, {len(positional)} given")


def _no_keywords(name: str, keywords: Keywords, allowed: tuple[str, ...] = ()) -> None:
    for keyword in keywords:
        if keyword not in allowed:
            raise TypeError(f"{name}() got an unexpected keyword argument {keyword!r}")


# Containers


def make_dict(reader: Reader, positional: list[Any], keywords: Keywords) -> ConfigDict:
    _check_count("dict", positional, 0, 1)
    made = ConfigDict()
    if positional:
        fill_dict(made, positional[0], reader)
    made.update(keywords)
    made.origins.update(keywords.origins)
    return made


def fill_dict(target: ConfigDict, items: Any, reader: Reader) -> None:
    """Add what `dict(items)` holds to `target`, with origins."""
    if isinstance(items, dict):
        reader.budget.spend(len(items))
        target.update(items)
        target.origins.update(getattr(items, "origins", {}))
        return
    for pair in items_of(items, reader)[0]:
        (key, value), (_, origin) = _pair(pair, reader)
        target.put(key_of(key, reader), value, origin)


def _pair(pair: Any, reader: Reader) -> tuple[list[Any], list[Origin | None]]:
    items, origins = items_of(pair, reader)
    if len(items) != 2:
        raise ValueError(f"dictionary update sequence element has length {len(items)}; 2 is required")
    return items, origins


def _list(reader: Reader, positional: list[Any], keywords: Keywords) -> ConfigList:
    _check_count("list", positional, 0, 1)
    return ConfigList(*items_of(positional[0], reader)) if positional else ConfigList()


def _tuple(reader: Reader, positional: list[Any], keywords: Keywords) -> ConfigTuple:
    _check_count("tuple", positional, 0, 1)
    return ConfigTuple(*items_of(positional[0], reader)) if positional else ConfigTuple()


def _set(reader: Reader, positional: list[Any], keywords: Keywords) -> set[Any]:
    _check_count("set", positional, 0, 1)
    items = items_of(positional[0], reader, any_order=True)[0] if positional else []
    return {key_of(item, reader) for item in items}


def _frozenset(reader: Reader, positional: list[Any], keywords: Keywords) -> frozenset[Any]:
    return frozenset(_set(reader, positional, keywords))


# Iterators, written out


def _range(reader: Reader, positional: list[Any], keywords: Keywords) -> range:
    return range(*positional)


def _enumerate(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    _check_count("enumerate", positional, 1, 2)
    _no_keywords("enumerate", keywords, ("start",))
    start = positional[1] if len(positional) > 1 else keywords.get("start", 0)
    items, origins = items_of(positional[0], reader)
    rows = (
        ConfigTuple((start + index, item), (None, origin))
        for index, (item, origin) in enumerate(zip(items, origins, strict=True))
    )
    return Iterated(rows, sources=positional[:1])


def _zip(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    _no_keywords("zip", keywords, ("strict",))
    columns = [items_of(value, reader) for value in positional]
    if keywords.get("strict") and len({len(items) for items, _ in columns}) > 1:
        raise ValueError("zip() arguments have different lengths")
    rows = zip(*(items for items, _ in columns), strict=False)
    origins = zip(*(origins for _, origins in columns), strict=False)
    made = (ConfigTuple(row, row_origins) for row, row_origins in zip(rows, origins, strict=True))
    return Iterated(made, sources=positional)


def _reversed(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    _check_count("reversed", positional, 1, 1)
    items, origins = items_of(positional[0], reader)
    return Iterated(items[::-1], origins[::-1], positional)


def _map(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    if len(positional) < 2:
        raise TypeError("map() must have at least two arguments.")
    columns = [items_of(value, reader)[0] for value in positional[1:]]
    _check_pure(positional[0], reader)
    made = (reader.call(positional[0], list(row), ConfigDict()) for row in zip(*columns, strict=False))
    return Iterated(made, sources=positional[1:])


def _check_pure(function: Any, reader: Reader) -> None:
    """Check that it does not matter when, and how often, an iterator calls a function.

    Raises:
        NotKnownError: It changes something.
    """
    if isinstance(function, LocalFunction):
        body = function.body if isinstance(function.body, list) else [function.body]
        reader.budget.spend(sum(map(size_of_syntax, body)))
        changes = any(map(changed_names, body))
    else:
        changes = isinstance(function, Method) and not is_pure_method(function.name)
    if changes:
        raise NotKnownError("an iterator that changes something")


def _filter(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    _check_count("filter", positional, 2, 2)
    items, origins = items_of(positional[1], reader)
    test = positional[0]
    _check_pure(test, reader)
    kept = [
        (item, origin)
        for item, origin in zip(items, origins, strict=True)
        if reader.truth(item if test is None else reader.call(test, [item], ConfigDict()))
    ]
    return Iterated([item for item, _ in kept], [origin for _, origin in kept], positional[1:])


def _chain(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    made = Iterated(sources=positional)
    for value in positional:
        items, origins = items_of(value, reader)
        made += items
        made.origins += origins
    return made


def _product(reader: Reader, positional: list[Any], keywords: Keywords) -> Iterated:
    columns = [items_of(value, reader)[0] for value in positional]
    repeat = keywords.get("repeat", 1)
    if not isinstance(repeat, int) or repeat > 20:
        raise LimitError("a product is too large")
    columns = columns * repeat
    reader.budget.spend(math.prod(len(column) for column in columns))
    return Iterated(ConfigTuple(row) for row in itertools.product(*columns))


# From many to one


def _len(reader: Reader, positional: list[Any], keywords: Keywords) -> int:
    _check_count("len", positional, 1, 1)
    value = positional[0]
    if not isinstance(value, (str, list, tuple, dict, set, frozenset, range)):
        if isinstance(value, SCALARS):
            raise TypeError(f"object of type {type(value).__name__!r} has no len()")
        raise NotKnownError("the length of a value that is not known")
    return _length(value)


def _sum(reader: Reader, positional: list[Any], keywords: Keywords) -> Any:
    _check_count("sum", positional, 1, 2)
    _no_keywords("sum", keywords, ("start",))
    total = positional[1] if len(positional) > 1 else keywords.get("start", 0)
    if isinstance(total, str):
        raise TypeError("sum() can't sum strings [use ''.join(seq) instead]")
    for item in items_of(positional[0], reader, any_order=True)[0]:
        total = reader.operate(ast.Add(), total, item)
    return total


def _extreme(name: str, choose: Callable[..., Any]) -> Callable[..., Any]:
    def run(reader: Reader, positional: list[Any], keywords: Keywords) -> Any:
        _no_keywords(name, keywords, ("key", "default"))
        if not positional:
            raise TypeError(f"{name} expected at least 1 argument, got 0")
        items = items_of(positional[0], reader, any_order=True)[0] if len(positional) == 1 else positional
        if not items and "default" in keywords:
            return keywords["default"]
        ranks = _ranks(reader, items, keywords.get("key"))
        return items[choose(range(len(items)), key=ranks.__getitem__)]

    return run


def _sorted(reader: Reader, positional: list[Any], keywords: Keywords) -> ConfigList:
    _check_count("sorted", positional, 1, 1)
    _no_keywords("sorted", keywords, ("key", "reverse"))
    items, origins = items_of(positional[0], reader, any_order=True)
    return sorted_list(reader, items, origins, keywords)


def sorted_list(reader: Reader, items: list[Any], origins: list[Origin | None], keywords: Keywords) -> ConfigList:
    """The items in order, with their origins; `keywords` may hold `key` and `reverse`."""
    ranks = _ranks(reader, items, keywords.get("key"))
    # Comparing costs more than looking once; long lists of long lists are not worth sorting here.
    reader.budget.spend(len(items) * len(items).bit_length())
    order = sorted(range(len(items)), key=ranks.__getitem__, reverse=bool(keywords.get("reverse")))
    return ConfigList([items[index] for index in order], [origins[index] for index in order])


def _ranks(reader: Reader, items: Sequence[Any], key: Any) -> list[Any]:
    ranks = [item if key is None else reader.call(key, [item], ConfigDict()) for item in items]
    for rank in ranks:
        spend_whole(rank, reader.budget)
        if isinstance(rank, (list, tuple)) and len(ranks) * len(rank) > 10_000:
            raise LimitError("it takes too much work to sort")
    return ranks


def _any(reader: Reader, positional: list[Any], keywords: Keywords) -> bool:
    _check_count("any", positional, 1, 1)
    return any(reader.truth(item) for item in items_of(positional[0], reader, any_order=True)[0])


def _all(reader: Reader, positional: list[Any], keywords: Keywords) -> bool:
    _check_count("all", positional, 1, 1)
    return all(reader.truth(item) for item in items_of(positional[0], reader, any_order=True)[0])


# Scalars


def _str(reader: Reader, positional: list[Any], keywords: Keywords) -> str:
    _check_count("str", positional, 0, 1)
    return text_of(positional[0], reader.budget) if positional else ""


def _repr(reader: Reader, positional: list[Any], keywords: Keywords) -> str:
    _check_count("repr", positional, 1, 1)
    return text_of(positional[0], reader.budget, "r")


def _format(reader: Reader, positional: list[Any], keywords: Keywords) -> str:
    _check_count("format", positional, 1, 2)
    return format_value(positional[0], positional[1] if len(positional) > 1 else "", reader.budget)


def _bool(reader: Reader, positional: list[Any], keywords: Keywords) -> bool:
    _check_count("bool", positional, 0, 1)
    return bool(positional) and reader.truth(positional[0])


def _on_scalars(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Python that takes and gives scalars of bounded size."""

    def run(reader: Reader, positional: list[Any], keywords: Keywords) -> Any:
        for value in (*positional, *keywords.values()):
            if not isinstance(value, SCALARS):
                if isinstance(value, (dict, list, tuple, set)):
                    raise TypeError(f"{function.__name__}() takes no {type(value).__name__}")
                raise NotKnownError("an argument that is not known")
        result = function(*positional, **keywords)
        if isinstance(result, str):
            reader.budget.spend_text(len(result))
        elif isinstance(result, tuple):
            return ConfigTuple(result)
        return result

    return run


def _round(number: Any, digits: int | None = None) -> Any:
    if isinstance(digits, int) and abs(digits) > MAX_FORMAT_WIDTH:
        raise LimitError("the precision of round() is too large")
    return round(number, digits)


def _divmod(left: Any, right: Any) -> Any:
    return divmod(left, right)


def _isinstance(reader: Reader, positional: list[Any], keywords: Keywords) -> bool:
    _check_count("isinstance", positional, 2, 2)
    value, classes = positional
    classes_wanted = list(classes) if isinstance(classes, tuple) else [classes]
    if not all(isinstance(cls, Builtin) and cls.instances for cls in classes_wanted):
        raise NotKnownError("isinstance with a class that is not known")
    if not isinstance(value, (*SCALARS, dict, list, tuple, set, frozenset, range)):
        raise NotKnownError("the class of a value that is not known")
    return isinstance(value, tuple(python for cls in classes_wanted for python in cls.instances))


def _callable(reader: Reader, positional: list[Any], keywords: Keywords) -> bool:
    _check_count("callable", positional, 1, 1)
    if isinstance(positional[0], (Builtin, LocalFunction, Method)):
        return True
    if isinstance(positional[0], (*SCALARS, dict, list, tuple, set)):
        return False
    raise NotKnownError("whether a value is callable")


def _print(reader: Reader, positional: list[Any], keywords: Keywords) -> None:
    """Nothing is printed: reading a config has no effects."""


# Copies


def copy_value(value: Any, reader: Reader) -> Any:
    """`copy.copy(value)`."""
    if isinstance(value, (ConfigDict, ConfigList)):
        reader.budget.spend(len(value))
        return value.copy()
    return set(value) if isinstance(value, set) else value


def deep_copy(value: Any, reader: Reader, *, by_attribute: bool | None = None) -> Any:
    """`copy.deepcopy(value)`, except that shared parts come apart.

    Args:
        by_attribute: What the dicts of the copy are (see `ConfigDict`); None keeps it.
    """
    if isinstance(value, ConfigDict):
        reader.budget.spend(1 + len(value))
        return ConfigDict(
            {key: deep_copy(item, reader, by_attribute=by_attribute) for key, item in value.items()},
            dict(value.origins),
            value.by_attribute if by_attribute is None else by_attribute,
        )
    if isinstance(value, (ConfigList, ConfigTuple)):
        reader.budget.spend(1 + len(value))
        items = [deep_copy(item, reader, by_attribute=by_attribute) for item in value]
        made = ConfigTuple if isinstance(value, tuple) else ConfigList
        return made(items, list(value.origins))
    return set(value) if isinstance(value, set) else value


def _copy(reader: Reader, positional: list[Any], keywords: Keywords) -> Any:
    _check_count("copy", positional, 1, 1)
    return copy_value(positional[0], reader)


def _deepcopy(reader: Reader, positional: list[Any], keywords: Keywords) -> Any:
    _check_count("deepcopy", positional, 1, 1)
    spend_whole_or_not_known(positional[0], reader)
    return deep_copy(positional[0], reader)


def spend_whole_or_not_known(value: Any, reader: Reader) -> None:
    """Check that `value` is finite; values that are not known may be in it."""
    try:
        spend_whole(value, reader.budget)
    except NotKnownError:
        return


# Tables


def _builtin(name: str, run: Callable[..., Any], *instances: type) -> tuple[str, Builtin]:
    return name.rpartition(".")[2], Builtin(name if "." in name else f"builtins.{name}", run, instances)


BUILTINS: dict[str, Builtin] = dict(
    (
        _builtin("abs", _on_scalars(abs)),
        _builtin("all", _all),
        _builtin("any", _any),
        _builtin("bool", _bool, bool),
        _builtin("callable", _callable),
        _builtin("chr", _on_scalars(chr)),
        _builtin("dict", make_dict, dict),
        _builtin("divmod", _on_scalars(_divmod)),
        _builtin("enumerate", _enumerate),
        _builtin("filter", _filter),
        _builtin("float", _on_scalars(float), float),
        _builtin("format", _format),
        _builtin("frozenset", _frozenset, frozenset),
        _builtin("int", _on_scalars(int), int),
        _builtin("isinstance", _isinstance),
        _builtin("len", _len),
        _builtin("list", _list, list),
        _builtin("map", _map),
        _builtin("max", _extreme("max", max)),
        _builtin("min", _extreme("min", min)),
        _builtin("ord", _on_scalars(ord)),
        _builtin("print", _print),
        _builtin("range", _range, range),
        _builtin("repr", _repr),
        _builtin("reversed", _reversed),
        _builtin("round", _on_scalars(_round)),
        _builtin("set", _set, set),
        _builtin("sorted", _sorted),
        _builtin("str", _str, str),
        _builtin("sum", _sum),
        _builtin("tuple", _tuple, tuple),
        _builtin("zip", _zip),
    )
)
"""What a name means that the config does not define."""

_MATH = """
    acos asin atan atan2 ceil cos degrees exp fabs floor fmod gcd hypot isclose isfinite isinf isnan log log10 log1p
    log2 pow radians sin sqrt tan tanh trunc
"""
_PATH = ("basename", "dirname", "join", "normpath", "split", "splitext")

MODULES: dict[str, dict[str, Any]] = {
    "math": {
        **dict(_builtin(f"math.{name}", _on_scalars(getattr(math, name))) for name in _MATH.split()),
        **{name: getattr(math, name) for name in ("e", "inf", "nan", "pi", "tau")},
    },
    "os.path": dict(_builtin(f"os.path.{name}", _on_scalars(getattr(os.path, name))) for name in _PATH),
    "copy": dict((_builtin("copy.copy", _copy), _builtin("copy.deepcopy", _deepcopy))),
    "itertools": dict((_builtin("itertools.chain", _chain), _builtin("itertools.product", _product))),
    "collections": dict((_builtin("collections.OrderedDict", make_dict, dict),)),
}
"""What is known of the standard library. Everything else in it is not."""
