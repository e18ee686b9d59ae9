"""Comparison and arithmetic with values of which not all is known."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from provecfg.registry.preconditions.values import MOST_ITEMS, PLAIN, UNKNOWN, Name, Uncertain, is_known

_LARGEST_INT: Final = 10**12

_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    """True, False, or UNKNOWN."""
    if isinstance(op, (ast.Is, ast.IsNot)):
        verdict = _is_same(left, right)
        return verdict if verdict is UNKNOWN or isinstance(op, ast.Is) else not verdict
    if isinstance(op, (ast.In, ast.NotIn)):
        verdict = _contains(left, right)
        return verdict if verdict is UNKNOWN or isinstance(op, ast.In) else not verdict
    if isinstance(op, (ast.Eq, ast.NotEq)):
        if isinstance(left, Name) and isinstance(right, Name):
            verdict = left == right
        else:
            verdict = left == right if is_known(left) and is_known(right) else UNKNOWN
        return verdict if verdict is UNKNOWN or isinstance(op, ast.Eq) else not verdict
    if not (is_known(left) and is_known(right)):
        return UNKNOWN
    return _COMPARISONS[type(op)](left, right)


def _is_same(left: Any, right: Any) -> Any:
    singletons = (None, True, False)
    if any(right is singleton for singleton in singletons):
        left, right = right, left
    if any(left is singleton for singleton in singletons):
        if isinstance(right, PLAIN):
            return left is right
        return UNKNOWN if right is UNKNOWN else False
    return left == right if isinstance(left, Name) and isinstance(right, Name) else UNKNOWN


def _contains(item: Any, owner: Any) -> Any:
    if isinstance(owner, (int, float)) or owner is None:
        raise TypeError(f"argument of type {type(owner).__name__!r} is not iterable")
    if not isinstance(owner, PLAIN):
        return UNKNOWN
    if isinstance(owner, str) and isinstance(item, PLAIN) and not isinstance(item, str):
        raise TypeError(f"'in <string>' requires string as left operand, not {type(item).__name__}")
    if not is_known(item):
        return UNKNOWN
    if isinstance(owner, (dict, set, frozenset)) and isinstance(item, (list, dict, set)):
        raise TypeError(f"unhashable type: {type(item).__name__!r}")
    if isinstance(owner, dict) and isinstance(owner.get(item), Uncertain):
        return UNKNOWN
    if item in owner:  # type: ignore[operator]
        return True
    return False if not isinstance(owner, (list, tuple, dict)) or UNKNOWN not in owner else UNKNOWN


_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)


def unary(op: ast.unaryop, value: Any) -> Any:
    """A sign or an inversion of a known value."""
    return _UNARY[type(op)](value)


def binary(op: ast.operator, left: Any, right: Any) -> Any:
    """What an operation gives, or UNKNOWN.

    Raises:
        TypeError: Python has no such operation; as others that it raises of these values.
    """
    function = _BINARY.get(type(op))
    if isinstance(op, ast.Pow) and all(isinstance(value, (int, float)) for value in (left, right)):
        return left**right if abs(left) < 1e4 and abs(right) < 60 else UNKNOWN
    for value, other in ((left, right), (right, left)):
        # no number, array or tensor takes a None
        if value is None and isinstance(op, _ARITHMETIC):
            shown = "..." if other is UNKNOWN else type(other).__name__
            raise TypeError(f"unsupported operand types of an arithmetic operation: 'NoneType' and {shown!r}")
    if function is None or not isinstance(left, PLAIN) or not isinstance(right, PLAIN):
        return UNKNOWN
    if isinstance(op, ast.Mod) and isinstance(left, (str, bytes)):
        if isinstance(left, str) and "%" not in left and not isinstance(right, (dict, tuple)):
            raise TypeError("not all arguments converted during string formatting")
        return UNKNOWN
    if isinstance(op, ast.Mult) and not _is_small(left, right):
        return UNKNOWN
    if isinstance(op, ast.Add) and isinstance(left, dict):
        raise TypeError("unsupported operand type(s) for +: 'dict'")
    return function(left, right)


def _is_small(left: Any, right: Any) -> bool:
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return abs(left) < _LARGEST_INT and abs(right) < _LARGEST_INT
    for items, count in ((left, right), (right, left)):
        if isinstance(items, (str, list, tuple)) and isinstance(count, int):
            return len(items) * max(count, 0) <= MOST_ITEMS
    return True
