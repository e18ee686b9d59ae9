"""The types that signatures and docstrings state, as far as they rule a plain value out.

`in_channels (int|Sequence[int])` takes no text. What a type says of values that no config holds (modules, arrays,
functions) is of no use here: a parameter that takes such a thing is open.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from provecfg.mmconfig import DottedName, Opaque
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Parameter

NONE, BOOL, INT, FLOAT, TEXT, SEQUENCE, DICT = "None", "bool", "int", "float", "str", "sequence", "dict"

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


@dataclass(frozen=True, slots=True)
class Stated:
    """What a type takes of the plain values.

    Args:
        kinds: Names of kinds.
        items: Of a sequence's items, or None where that is not said.
    """

    kinds: frozenset[str]
    items: Stated | None = None

    def __or__(self, other: Stated) -> Stated:
        if SEQUENCE not in self.kinds or SEQUENCE not in other.kinds:
            items = self.items or other.items
        else:
            items = None if self.items is None or other.items is None else self.items | other.items
        return Stated(self.kinds | other.kinds, items)


@functools.lru_cache(maxsize=4096)
def stated(text: str) -> Stated | None:
    """What a type takes, from its source (`Optional[int]`, `int | tuple[int]`); None where it is open, or no type."""
    try:
        return _of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _of(node: ast.expr) -> Stated | None:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return stated(node.value)
        return Stated(frozenset({NONE})) if node.value is None else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _any_of([node.left, node.right])
    if isinstance(node, (ast.Name, ast.Attribute)):
        kinds = _NAMES.get(node.id if isinstance(node, ast.Name) else node.attr)
        return None if kinds is None else Stated(kinds)
    if not isinstance(node, ast.Subscript):
        return None
    name = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return _any_of([*inner, ast.Constant(None)])
    if name == "Union":
        return _any_of(inner)
    if name == "Literal":
        return _of_values(item.value for item in inner if isinstance(item, ast.Constant))
    kinds = _NAMES.get(name)
    if kinds == frozenset({SEQUENCE}):
        items = [item for item in inner if not (isinstance(item, ast.Constant) and item.value is ...)]
        return Stated(kinds, _any_of(items))
    return Stated(kinds) if kinds == frozenset({DICT}) else None


def _any_of(nodes: Iterable[ast.expr]) -> Stated | None:
    found: Stated | None = None
    for node in nodes:
        one = _of(node)
        if one is None:
            return None
        found = one if found is None else found | one
    return found


def _of_values(values: Iterable[Any]) -> Stated | None:
    found: Stated | None = None
    for value in values:
        kind = _kind(value)
        if kind is not None:
            found = Stated(frozenset({kind})) if found is None else found | Stated(frozenset({kind}))
    return found


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
    found: dict[str, str] = {}
    for name, text in _ARGUMENT.findall(docstring):
        for pattern, replacement in _WORDS:
            text = pattern.sub(replacement, text)
        text = " ".join(text.split())
        if stated(text) is not None:
            found.setdefault(name, text)
    return found


def type_of(parameter: Parameter, text: str | None) -> Stated | None:
    """What a parameter takes; None where nothing rules a value out.

    Args:
        parameter: Its annotation, and its default, which it takes as well.
        text: What the docstring states.
    """
    sources = [source for source in (parameter.annotation, text) if source]
    types = [stated(source) for source in sources]
    if not types or None in types:
        return None
    if parameter.default is not REQUIRED and parameter.default is not UNKNOWN_DEFAULT:
        types.append(_of_value(parameter.default))
    found: Stated | None = None
    for one in types:
        if one is not None:
            found = one if found is None else found | one
    return found


def _of_value(value: Any) -> Stated | None:
    if isinstance(value, (list, tuple, set)):
        items = [_of_value(item) for item in value]
        inner: Stated | None = None
        for item in items:
            if item is not None:
                inner = item if inner is None else inner | item
        return Stated(frozenset({SEQUENCE}), inner if None not in items else None)
    kind = _kind(value)
    return None if kind is None else Stated(frozenset({kind}))


def _kind(value: Any) -> str | None:
    if value is None:
        return NONE
    for kind, types in ((BOOL, bool), (INT, int), (FLOAT, float), (TEXT, str), (DICT, dict)):
        if isinstance(value, types):
            return kind
    return SEQUENCE if isinstance(value, (list, tuple, set)) else None


def misfit(value: Any, declared: Stated, path: str = "") -> tuple[str, Any] | None:
    """The part of a value that its type does not take, as a path into the value and the part; None where all fits.

    A None as a whole is left alone: many a class takes it for "leave this out", whatever its type says.
    """
    if isinstance(value, (DottedName, Opaque)) or (value is None and not path):
        return None
    if isinstance(value, (list, tuple)):
        if SEQUENCE not in declared.kinds:
            return path, value
        for index, item in enumerate(value if declared.items is not None else ()):
            found = misfit(item, declared.items, f"{path}[{index}]") if declared.items is not None else None
            if found is not None:
                return found
        return None
    return None if _takes(declared, value) else (path, value)


def _takes(declared: Stated, value: Any) -> bool:
    kind = _kind(value)
    kinds = declared.kinds
    if kind is None or kind in kinds:
        return True
    if kind in (BOOL, INT):
        return bool(kinds & {BOOL, INT, FLOAT})
    if kind == FLOAT:
        return INT in kinds and float(value).is_integer()
    # one text for a list of them
    return kind == TEXT and SEQUENCE in kinds and (declared.items is None or TEXT in declared.items.kinds)
