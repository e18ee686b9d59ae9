"""The builtins, methods and small functions that excerpts call, done on values of which parts may not be known."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Final

from provecfg.registry.preconditions.values import PLAIN, UNKNOWN, ConfigDict, Instance, Name, is_known, truth

_MOST = 10_000
"""Items of a sequence that a builtin makes."""

Keywords = dict[str, Any]

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "bytes": (bytes,),
    "dict": (dict,),
    "float": (float,),
    "frozenset": (frozenset,),
    "int": (int,),
    "list": (list,),
    "object": (object,),
    "range": (range,),
    "set": (set,),
    "slice": (),
    "str": (str,),
    "tuple": (tuple,),
    "type": (),
    "complex": (),
    "collections.abc.Callable": (),
    "collections.abc.Collection": (list, tuple, dict, set, frozenset, str, range, bytes),
    "collections.abc.Iterable": (list, tuple, dict, set, frozenset, str, range, bytes),
    "collections.abc.Mapping": (dict,),
    "collections.abc.MutableMapping": (dict,),
    "collections.abc.MutableSequence": (list,),
    "collections.abc.Sequence": (list, tuple, str, range, bytes),
    "collections.abc.Set": (set, frozenset),
    "collections.abc.Sized": (list, tuple, dict, set, frozenset, str, range, bytes),
    "collections.OrderedDict": (),
    "enum.Enum": (),
    "numbers.Integral": (int,),
    "numbers.Number": (int, float),
    "numbers.Real": (int, float),
    "pathlib.Path": (),
    "types.FunctionType": (),
}
"""The plain types that each of these is; no plain value is an instance of any other class."""

_CONFIG_DICTS: Final = frozenset({"mmengine.config.config.ConfigDict", "mmengine.config.config.Config"})
"""What a dict of a config is when it reaches a class, and a dict that a class has made is not."""

NONE_TYPE: Final = "NoneType"


def is_instance(value: Any, kind: Any) -> Any:
    """`isinstance(value, kind)`: True, False, or UNKNOWN."""
    if isinstance(kind, tuple):
        verdicts = [is_instance(value, alternative) for alternative in kind]
        return True if True in verdicts else UNKNOWN if UNKNOWN in verdicts else False
    if kind is None and value is not UNKNOWN:
        raise TypeError("isinstance() arg 2 must be a type, a tuple of types, or a union")
    if not isinstance(kind, Name) or not isinstance(value, PLAIN):
        return UNKNOWN
    if kind.dotted in _TYPES:
        return isinstance(value, _TYPES[kind.dotted])
    if kind.dotted == NONE_TYPE:
        return value is None
    if kind.dotted in _CONFIG_DICTS:
        return isinstance(value, ConfigDict)
    return False if "." in kind.dotted else UNKNOWN


def type_of(value: Any) -> Any:
    """`type(value)`; of a dict it is not known, since mmengine has its own."""
    if not isinstance(value, PLAIN) or isinstance(value, dict):
        return UNKNOWN
    return Name(NONE_TYPE if value is None else type(value).__name__)


def items_of(value: Any) -> list[Any] | None:
    """What iterating over a value yields, or None where that is not known.

    Raises:
        TypeError: It cannot be iterated over.
    """
    if isinstance(value, (list, tuple, dict, set, frozenset, str, bytes, range)):
        if len(value) > _MOST:
            return None
        return list(value)
    if isinstance(value, PLAIN):
        raise TypeError(f"{type(value).__name__!r} object is not iterable")
    return None


def _of_known(function: Callable[..., Any]) -> Callable[[list[Any], Keywords], Any]:
    """A function that is called where all its arguments are known."""

    def call(positional: list[Any], keywords: Keywords) -> Any:
        if not all(map(is_known, (*positional, *keywords.values()))):
            return UNKNOWN
        return function(*positional, **keywords)

    return call


def _len(positional: list[Any], keywords: Keywords) -> Any:
    (value,) = positional
    if not isinstance(value, PLAIN):
        return UNKNOWN
    if isinstance(value, (int, float)) or value is None:
        raise TypeError(f"object of type {type(value).__name__!r} has no len()")
    return len(value)


def _all(positional: list[Any], keywords: Keywords) -> Any:
    return _joined(positional, stops_at=False)


def _any(positional: list[Any], keywords: Keywords) -> Any:
    return _joined(positional, stops_at=True)


def _joined(positional: list[Any], *, stops_at: bool) -> Any:
    (value,) = positional
    items = items_of(value)
    if items is None:
        return UNKNOWN
    truths = [truth(item) for item in items]
    if stops_at in truths:
        return stops_at
    return UNKNOWN if None in truths else not stops_at


def _sequence(kind: type) -> Callable[[list[Any], Keywords], Any]:
    def call(positional: list[Any], keywords: Keywords) -> Any:
        items = items_of(positional[0]) if positional else []
        if items is None:
            return UNKNOWN
        if kind is set and not all(map(is_known, items)):
            return UNKNOWN
        return kind(items)

    return call


def _dict(positional: list[Any], keywords: Keywords) -> Any:
    if any(value is UNKNOWN or isinstance(value, (Name, Instance)) for value in positional):
        return UNKNOWN
    return dict(*positional, **keywords)


def _range(*positional: Any) -> Any:
    made = range(*positional)
    return UNKNOWN if len(made) > _MOST else made


def _zip(positional: list[Any], keywords: Keywords) -> Any:
    lists = [items_of(value) for value in positional]
    known = [items for items in lists if items is not None]
    return UNKNOWN if len(known) < len(lists) else list(zip(*known, strict=False))


def _enumerate(positional: list[Any], keywords: Keywords) -> Any:
    items = items_of(positional[0])
    start = positional[1] if len(positional) > 1 else keywords.get("start", 0)
    return UNKNOWN if items is None or not isinstance(start, int) else list(enumerate(items, start))


def _reversed(positional: list[Any], keywords: Keywords) -> Any:
    if isinstance(positional[0], (set, frozenset, int, float)) or positional[0] is None:
        raise TypeError(f"{type(positional[0]).__name__!r} object is not reversible")
    items = items_of(positional[0])
    return UNKNOWN if items is None else items[::-1]


def _isinstance(positional: list[Any], keywords: Keywords) -> Any:
    value, kind = positional
    return is_instance(value, kind)


def _issubclass(positional: list[Any], keywords: Keywords) -> Any:
    return UNKNOWN


def _callable(positional: list[Any], keywords: Keywords) -> Any:
    (value,) = positional
    return False if isinstance(value, PLAIN) else True if isinstance(value, Name) else UNKNOWN


def _hasattr(positional: list[Any], keywords: Keywords) -> Any:
    value, name = positional
    if isinstance(value, PLAIN) and not isinstance(value, dict) and isinstance(name, str):
        return hasattr(value, name)
    return UNKNOWN


def _type(positional: list[Any], keywords: Keywords) -> Any:
    return type_of(positional[0]) if len(positional) == 1 else UNKNOWN


def _pow(*positional: Any) -> Any:
    if all(isinstance(value, int) for value in positional) and (abs(positional[0]) > 1000 or abs(positional[1]) > 64):
        return UNKNOWN
    return pow(*positional)


def _int(*positional: Any) -> Any:
    return UNKNOWN if positional and isinstance(positional[0], str) and len(positional[0]) > 100 else int(*positional)


BUILTINS: Final[dict[str, Callable[[list[Any], Keywords], Any]]] = {
    "abs": _of_known(abs),
    "all": _all,
    "any": _any,
    "bool": lambda positional, keywords: UNKNOWN if truth(positional[0]) is None else truth(positional[0]),
    "callable": _callable,
    "dict": _dict,
    "divmod": _of_known(divmod),
    "enumerate": _enumerate,
    "float": _of_known(float),
    "frozenset": _sequence(set),
    "hasattr": _hasattr,
    "int": _of_known(_int),
    "isinstance": _isinstance,
    "issubclass": _issubclass,
    "len": _len,
    "list": _sequence(list),
    "max": _of_known(max),
    "min": _of_known(min),
    "pow": _of_known(_pow),
    "range": _of_known(_range),
    "repr": lambda positional, keywords: UNKNOWN,
    "reversed": _reversed,
    "round": _of_known(round),
    "set": _sequence(set),
    "sorted": _of_known(sorted),
    "str": lambda positional, keywords: UNKNOWN,
    "sum": _of_known(sum),
    "tuple": _sequence(tuple),
    "type": _type,
    "zip": _zip,
    # types that are looked at and not called
    "bytes": lambda positional, keywords: UNKNOWN,
    "complex": lambda positional, keywords: UNKNOWN,
    "object": lambda positional, keywords: Instance(),
    "slice": lambda positional, keywords: UNKNOWN,
}


def _copied(positional: list[Any], keywords: Keywords) -> Any:
    return copy.copy(positional[0]) if isinstance(positional[0], PLAIN) else positional[0]


def _deeply_copied(positional: list[Any], keywords: Keywords) -> Any:
    return deep_copy(positional[0])


def deep_copy(value: Any) -> Any:
    """A copy of lists and dicts all through; other values are themselves."""
    if isinstance(value, dict):
        items = {key: deep_copy(item) for key, item in value.items()}
        return ConfigDict(items) if isinstance(value, ConfigDict) else items
    if isinstance(value, list):
        return [deep_copy(item) for item in value]
    return tuple(deep_copy(item) for item in value) if isinstance(value, tuple) else value


def _is_seq_of(seq: Any, expected_type: Any, seq_type: Any = None) -> Any:
    kind = Name("collections.abc.Sequence") if seq_type is None else seq_type
    is_sequence = is_instance(seq, kind)
    if is_sequence is not True:
        return is_sequence
    items = items_of(seq)
    verdicts = [is_instance(item, expected_type) for item in items or ()]
    return False if False in verdicts else UNKNOWN if UNKNOWN in verdicts or items is None else True


def _is_str(positional: list[Any], keywords: Keywords) -> Any:
    return is_instance(positional[0], Name("str"))


def _n_tuple(count: int, *, is_torchs: bool = False) -> Callable[[list[Any], Keywords], Any]:
    def call(positional: list[Any], keywords: Keywords) -> Any:
        (value,) = positional
        if not isinstance(value, PLAIN):
            return UNKNOWN
        if isinstance(value, (list, tuple, dict, set, frozenset, str, range, bytes)):
            return tuple(value) if is_torchs else value
        return (value,) * count

    return call


def _build(positional: list[Any], keywords: Keywords) -> Any:
    """What building a class from a config's dict asks of the dict."""
    cfg, *_ = positional or [keywords.get("cfg", UNKNOWN)]
    if not isinstance(cfg, PLAIN):
        return UNKNOWN
    if not isinstance(cfg, dict):
        raise TypeError(f"cfg should be a dict, ConfigDict or Config, but got {type(cfg).__name__}")
    if "type" not in cfg and UNKNOWN not in cfg and "default_args" not in keywords:
        raise KeyError(f'`cfg` or `default_args` must contain the key "type", but got {_shown(cfg)}')
    return Instance()


def _build_model(positional: list[Any], keywords: Keywords) -> Any:
    """The same of models, of which a list makes a Sequential."""
    cfg, *_ = positional or [keywords.get("cfg", UNKNOWN)]
    if isinstance(cfg, list):
        for part in cfg:
            _build([part], keywords)
        return Instance()
    return _build(positional, keywords)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]}..."


def _tensor(positional: list[Any], keywords: Keywords) -> Any:
    """A tensor of a size, given as one sequence or as several numbers."""
    size = positional[0] if positional and isinstance(positional[0], (list, tuple)) else positional
    for extent in size:
        if isinstance(extent, (float, str)) or extent is None:
            raise TypeError(f"a tensor's size has to be of whole numbers, not of {type(extent).__name__!r}")
        if isinstance(extent, int) and extent < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {extent}: {_shown(size)}")
    return Instance()


def _refuse_extent(name: str, value: Any) -> None:
    """Raise what a convolution does for an extent that is no whole number of at least 1."""
    for number in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(number, PLAIN) and not isinstance(number, int):
            kind = "NoneType" if number is None else type(number).__name__
            raise TypeError(f"{name} of a convolution has to be of whole numbers, not of {kind!r}")
        if isinstance(number, int) and number < 1:
            raise RuntimeError(f"{name} of a convolution has to be 1 or more, not {number}")


PRECONDITIONS: Final[dict[str, dict[str, Callable[[str, Any], None]]]] = {
    "torch.nn.modules.conv._ConvNd": dict.fromkeys(
        ("in_channels", "out_channels", "kernel_size", "stride", "dilation"), _refuse_extent
    ),
}
"""What torch's C code refuses of the arguments of a constructor when an image goes through the layer, by class.

Source: torch 2.13, `torch.conv2d`.
"""

FUNCTIONS: Final[dict[str, Callable[[list[Any], Keywords], Any]]] = {
    "copy.copy": _copied,
    "copy.deepcopy": _deeply_copied,
    "inspect.isclass": lambda positional, keywords: (
        True if isinstance(positional[0], Name) else False if isinstance(positional[0], PLAIN) else UNKNOWN
    ),
    "math.ceil": _of_known(math.ceil),
    "math.floor": _of_known(math.floor),
    "math.log2": _of_known(math.log2),
    "math.sqrt": _of_known(math.sqrt),
    "mmengine.registry.build_functions.build_from_cfg": _build,
    "mmengine.registry.build_functions.build_model_from_cfg": _build_model,
    "mmengine.utils.misc.is_str": _is_str,
    "mmengine.utils.misc.is_seq_of": lambda positional, keywords: _is_seq_of(*positional, **keywords),
    "mmengine.utils.misc.is_list_of": lambda positional, keywords: _is_seq_of(
        *positional, **{**keywords, "seq_type": Name("list")}
    ),
    "mmengine.utils.misc.is_tuple_of": lambda positional, keywords: _is_seq_of(
        *positional, **{**keywords, "seq_type": Name("tuple")}
    ),
    "mmengine.utils.misc.to_1tuple": _n_tuple(1),
    "mmengine.utils.misc.to_2tuple": _n_tuple(2),
    "mmengine.utils.misc.to_3tuple": _n_tuple(3),
    "mmengine.utils.misc.to_4tuple": _n_tuple(4),
    "torch.empty": _tensor,
    "torch.ones": _tensor,
    "torch.zeros": _tensor,
    "torch.nn.modules.utils._single": _n_tuple(1, is_torchs=True),
    "torch.nn.modules.utils._pair": _n_tuple(2, is_torchs=True),
    "torch.nn.modules.utils._triple": _n_tuple(3, is_torchs=True),
}
"""Functions by dotted name that are done here instead of followed.

Source: mmengine 0.10.7, utils/misc.py and registry/build_functions.py; torch 2.13, nn/modules/utils.py.
"""


REGISTRY: Final = "registry."
"""Begins the name of one of mmengine's registries, whose own follows with underscores."""


def is_native(dotted: str) -> bool:
    """Whether a function of this dotted name is done here."""
    return dotted in FUNCTIONS or dotted.startswith(REGISTRY)


# Methods

_OF_TEXT: Final = frozenset(
    {"capitalize", "count", "endswith", "find", "format", "index", "isdigit", "join", "lower", "lstrip", "partition"}
    | {"replace", "rpartition", "rsplit", "rstrip", "split", "startswith", "strip", "title", "upper"}
)
_OF_LISTS: Final = frozenset(
    {"append", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"}
)
_OF_DICTS: Final = frozenset({"clear", "copy", "get", "items", "keys", "pop", "setdefault", "update", "values"})
_OF_SETS: Final = frozenset({"add", "copy", "difference", "intersection", "issubset", "issuperset", "union"})
_OF_NUMBERS: Final = frozenset({"is_integer"})
METHODS: Final = _OF_TEXT | _OF_LISTS | _OF_DICTS | _OF_SETS | _OF_NUMBERS
"""Methods of plain values that are done here."""


def call_method(owner: Any, name: str, positional: list[Any], keywords: Keywords) -> Any:
    """`owner.name(*given, **keywords)`.

    Raises:
        AttributeError, TypeError, ValueError, KeyError, IndexError: As Python does.
    """
    if not isinstance(owner, PLAIN):
        return UNKNOWN
    if isinstance(owner, dict):
        return _call_of_dict(owner, name, positional, keywords)
    method = getattr(owner, name)  # raises as Python does: `512 .lower()`
    if isinstance(owner, str):
        if not (name in _OF_TEXT and all(map(is_known, (*positional, *keywords.values())))):
            return UNKNOWN
        if name in ("format", "replace", "join") and (len(owner) > 1000 or "{:" in owner):
            return UNKNOWN
        return method(*positional, **keywords)
    if isinstance(owner, list) and name in _OF_LISTS:
        if name in ("sort", "index", "remove", "count") and not all(map(is_known, (owner, *positional))):
            return UNKNOWN
        if name == "extend" and positional and items_of(positional[0]) is None:
            owner.append(UNKNOWN)
            return None
        return method(*positional, **keywords) if len(owner) < _MOST else UNKNOWN
    if isinstance(owner, (tuple, set, frozenset)) and not all(map(is_known, (owner, *positional))):
        return UNKNOWN
    return method(*positional, **keywords) if name in METHODS else UNKNOWN


def _call_of_dict(owner: dict[Any, Any], name: str, positional: list[Any], keywords: Keywords) -> Any:
    if name not in _OF_DICTS:
        return UNKNOWN
    if name in ("get", "pop", "setdefault"):
        if not positional or not is_known(positional[0]):
            if name != "get":
                owner.clear()
                owner[UNKNOWN] = UNKNOWN
            return UNKNOWN
        if UNKNOWN in owner and positional[0] not in owner:
            return UNKNOWN
        if name == "pop" and len(positional) == 1 and isinstance(owner, ConfigDict):
            return owner.pop(positional[0], None)
    if name == "update" and not all(isinstance(other, dict) for other in positional):
        owner[UNKNOWN] = UNKNOWN
        return None
    if name == "copy":
        return copy.copy(owner)
    made = getattr(owner, name)(*positional, **keywords)
    return list(made) if name in ("items", "keys", "values") else made
