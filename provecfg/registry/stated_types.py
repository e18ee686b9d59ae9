"""The types that signatures and docstrings state, as far as they rule a plain value out.

`in_channels (int|Sequence[int])` takes no text. What a type says of values that no config holds (modules, arrays,
functions) is of no use here: a parameter that takes such a thing is open.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from provecfg.mmconfig import DottedName, Opaque
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Parameter

NONE, BOOL, INT, FLOAT, TEXT, SEQUENCE, DICT = "None", "bool", "int", "float", "str", "sequence", "dict"
NUMBERS: Final = frozenset({BOOL, INT, FLOAT})

_NAMES: Final[dict[str, frozenset[str]]] = {
    "None": frozenset({NONE}),
    "NoneType": frozenset({NONE}),
    "bool": frozenset({BOOL}),
    "int": frozenset({INT}),
    "float": frozenset({FLOAT}),
    "Number": frozenset({INT, FLOAT}),
    "number": frozenset({INT, FLOAT}),
    "str": frozenset({TEXT}),
    "string": frozenset({TEXT}),
    **dict.fromkeys(("list", "List", "tuple", "Tuple", "Sequence", "Iterable", "set", "Set"), frozenset({SEQUENCE})),
    **dict.fromkeys(("dict", "Dict", "Mapping", "ConfigDict", "ConfigType"), frozenset({DICT})),
    # mmengine's and mmdet's names for them (mmdet 3.3.0, utils/typing_utils.py)
    "OptConfigType": frozenset({DICT, NONE}),
    "MultiConfig": frozenset({DICT, SEQUENCE}),
    "OptMultiConfig": frozenset({DICT, SEQUENCE, NONE}),
}


class StatedType(NamedTuple):
    """What a type takes of the plain values.

    Args:
        kinds: Names of kinds.
        items: Of a sequence's items, or None where that is not said.
        length: Of a sequence, or None where that is not said, or several are.
    """

    kinds: frozenset[str]
    items: StatedType | None = None
    length: int | None = None

    def __or__(self, other: StatedType) -> StatedType:
        if SEQUENCE not in self.kinds or SEQUENCE not in other.kinds:
            items, length = self.items or other.items, self.length or other.length
        else:
            items = None if self.items is None or other.items is None else self.items | other.items
            length = self.length if self.length == other.length else None
        return StatedType(self.kinds | other.kinds, items, length)


@functools.lru_cache(maxsize=4096)
def stated_type(text: str) -> StatedType | None:
    """What a type takes, from its source (`Optional[int]`, `int | tuple[int]`); None where it is open, or no type."""
    try:
        return _of_node(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _of_node(node: ast.expr) -> StatedType | None:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return stated_type(node.value)
        return StatedType(frozenset({NONE})) if node.value is None else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _of_alternatives([node.left, node.right])
    if isinstance(node, (ast.Name, ast.Attribute)):
        kinds = _NAMES.get(node.id if isinstance(node, ast.Name) else node.attr)
        return None if kinds is None else StatedType(kinds)
    if not isinstance(node, ast.Subscript):
        return None
    name = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return _of_alternatives([*inner, ast.Constant(None)])
    if name == "Union":
        return _of_alternatives(inner)
    if name == "Literal":
        return _joined(_of_value(item.value) for item in inner if isinstance(item, ast.Constant))
    kinds = _NAMES.get(name)
    if kinds == frozenset({SEQUENCE}):
        items = [item for item in inner if not (isinstance(item, ast.Constant) and item.value is ...)]
        is_counted = len(items) == len(inner) > 1  # `Tuple[int]` is written for any number of them
        of_item = _of_alternatives(items)
        # three numbers that need not be whole are one a channel, of images that have three; others have more
        is_by_channel = len(items) == 3 and of_item is not None and FLOAT in of_item.kinds
        return StatedType(kinds, of_item, len(items) if is_counted and not is_by_channel else None)
    return StatedType(kinds) if kinds == frozenset({DICT}) else None


def _of_alternatives(nodes: Iterable[ast.expr]) -> StatedType | None:
    types = [_of_node(node) for node in nodes]
    return None if None in types else _joined(types)


def _joined(types: Iterable[StatedType | None]) -> StatedType | None:
    """The alternatives as one; those about which nothing is known are left out."""
    joined: StatedType | None = None
    for stated in types:
        if stated is not None:
            joined = stated if joined is None else joined | stated
    return joined


_ARGUMENT: Final = re.compile(r"^[ \t]*\*{0,2}(\w+)[ \t]*\((.+?)\)[ \t]*:", re.MULTILINE)
_WORDS: Final = (
    (re.compile(r"`|:obj:|~"), ""),
    (re.compile(r"\b([Ll]ist|[Tt]uple|[Ss]equence) of (\w+?)s?\b"), r"\1[\2]"),
    (re.compile(r",?\s*\boptional\b"), " | None"),
    (re.compile(r"\s+or\s+"), " | "),
    (re.compile(r",\s*(?![^\[]*\])"), " | "),
)


def documented(docstring: str) -> dict[str, str]:
    """The types of the arguments that a docstring in Google's style states, as source of types; by argument."""
    types: dict[str, str] = {}
    for name, text in _ARGUMENT.findall(docstring):
        for pattern, replacement in _WORDS:
            text = pattern.sub(replacement, text)
        text = " ".join(text.split())
        if stated_type(text) is not None:
            types.setdefault(name, text)
    return types


def type_of(parameter: Parameter, text: str | None) -> StatedType | None:
    """What a parameter takes; None where nothing rules a value out.

    Args:
        parameter: Its annotation, and its default, which it takes as well.
        text: What the docstring states.
    """
    types = [stated_type(source) for source in (parameter.annotation, text) if source]
    if not types or None in types:
        return None
    if parameter.default is not REQUIRED and parameter.default is not UNKNOWN_DEFAULT:
        types.append(_of_value(parameter.default))
    return _joined(_completed([stated for stated in types if stated is not None]))


def _completed(types: list[StatedType]) -> list[StatedType]:
    """What several sources state, each with what another says of a sequence of which it says nothing itself.

    `tuple` in a docstring takes nothing back from the annotation's `Tuple[int, int]`.
    """
    sequences = [stated for stated in types if SEQUENCE in stated.kinds]
    items = _joined(stated.items for stated in sequences)
    lengths = {stated.length for stated in sequences if stated.length is not None}
    length = lengths.pop() if len(lengths) == 1 else None
    return [
        stated._replace(items=stated.items or items, length=length) if SEQUENCE in stated.kinds else stated
        for stated in types
    ]


def _of_value(value: Any) -> StatedType | None:
    if isinstance(value, (list, tuple, set)):
        items = [_of_value(item) for item in value]
        return StatedType(frozenset({SEQUENCE}), None if None in items else _joined(items))
    kind = kind_of(value)
    return None if kind is None else StatedType(frozenset({kind}))


def kind_of(value: Any) -> str | None:
    """The kind of a plain value; None of any other."""
    if value is None:
        return NONE
    for kind, types in ((BOOL, bool), (INT, int), (FLOAT, float), (TEXT, str), (DICT, dict)):
        if isinstance(value, types):
            return kind
    return SEQUENCE if isinstance(value, (list, tuple, set)) else None


def misfit(value: Any, stated: StatedType, path: str = "") -> tuple[str, StatedType] | None:
    """The path to the part of a value that its type does not take, and the type of this part; None where all fits."""
    if isinstance(value, (DottedName, Opaque)):
        return None
    if isinstance(value, (list, tuple)):
        if SEQUENCE not in stated.kinds:
            takes_several = DICT in stated.kinds and all(isinstance(item, dict) for item in value)
            return None if takes_several else (path, stated)
        if stated.length is not None and len(value) != stated.length:
            return path, stated
        for index, item in enumerate(value if stated.items is not None else ()):
            unfit = misfit(item, stated.items, f"{path}[{index}]") if stated.items is not None else None
            if unfit is not None:
                return unfit
        return None
    return None if _takes(stated, value) else (path, stated)


_WORDS_OF_KINDS: Final = {
    SEQUENCE: "a list or tuple",
    DICT: "a dict",
    TEXT: "a text",
    BOOL: "a bool",
    INT: "an int",
    FLOAT: "a float",
    NONE: "None",
}


def named(stated: StatedType) -> str:
    """A type in words: `an int or None`."""
    words = {**_WORDS_OF_KINDS, SEQUENCE: f"a list or tuple of {stated.length}"} if stated.length else _WORDS_OF_KINDS
    return " or ".join(text for kind, text in words.items() if kind in stated.kinds)


def _takes(stated: StatedType, value: Any) -> bool:
    kind, kinds = kind_of(value), stated.kinds
    if kind is None or kind in kinds:
        return True
    if kind in (BOOL, INT):
        return bool(kinds & NUMBERS)
    if kind == FLOAT:
        return INT in kinds and float(value).is_integer()
    # one text for a list of them
    return kind == TEXT and SEQUENCE in kinds and (stated.items is None or TEXT in stated.items.kinds)
