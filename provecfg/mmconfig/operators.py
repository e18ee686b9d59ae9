"""Operators, with the sizes of their results bounded before they are computed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from provecfg.mmconfig.budget import MAX_BITS, Budget, LimitError
from provecfg.mmconfig.formatting import format_percent
from provecfg.mmconfig.sizes import SCALARS, spend_whole
from provecfg.mmconfig.special import NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def unary(op: ast.unaryop, value: Any) -> Any:
    """`-value` and its like; `not` is the evaluator's.

    Raises:
        NotKnownError: The value is not a number.
        TypeError: As Python does.
    """
    if not isinstance(value, SCALARS):
        raise NotKnownError(f"a {type(value).__name__} under a unary operator")
    return _UNARY[type(op)](value)


def binary(op: ast.operator, left: Any, right: Any, budget: Budget) -> Any:
    """`left op right`.

    Raises:
        LimitError: The result would be too large.
        NotKnownError: It takes values that are not known here.
        ArithmeticError, TypeError, ValueError: As Python does.
    """
    kind = type(op)
    if kind is ast.Mod and isinstance(left, str):
        return format_percent(left, right, budget)
    if isinstance(left, dict) and isinstance(right, dict) and kind is ast.BitOr:
        budget.spend(len(left) + len(right))
        joined = ConfigDict(left, dict(getattr(left, "origins", {})))
        joined.update(right)
        joined.origins.update(getattr(right, "origins", {}))
        return joined
    if isinstance(left, (list, tuple)) or isinstance(right, (list, tuple)):
        return _on_sequences(kind, left, right, budget)
    if isinstance(left, (set, frozenset)) and isinstance(right, (set, frozenset)):
        budget.spend(len(left) + len(right))
        return _ARITHMETIC[kind](left, right)
    if not (isinstance(left, SCALARS) and isinstance(right, SCALARS)):
        if isinstance(left, (dict, set)) or isinstance(right, (dict, set)):
            raise TypeError(f"unsupported operand types: {_type_name(left)} and {_type_name(right)}")
        raise NotKnownError(f"an operation on {_type_name(left)} and {_type_name(right)}")
    return _on_scalars(kind, left, right, budget)


def _on_scalars(kind: type[ast.operator], left: Any, right: Any, budget: Budget) -> Any:
    if kind is ast.Add:
        if isinstance(left, str) and isinstance(right, str):
            budget.spend_text(len(left) + len(right))
        return _bounded(left + right)
    if kind is ast.Mult:
        for text, times in ((left, right), (right, left)):
            if isinstance(text, str) and isinstance(times, int):
                budget.spend_text(len(text) * max(times, 0))
        return _bounded(left * right)
    if kind is ast.Pow:
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_BITS:
            raise LimitError("a number is too large")
        result = left**right
        if isinstance(result, complex):
            raise NotKnownError("a complex number")
        return result
    if kind is ast.LShift:
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right > MAX_BITS:
            raise LimitError("a number is too large")
        return left << right
    if kind not in _ARITHMETIC:
        raise NotKnownError("the @ operator")
    return _bounded(_ARITHMETIC[kind](left, right))


def _on_sequences(kind: type[ast.operator], left: Any, right: Any, budget: Budget) -> Any:
    made = ConfigList if isinstance(left, list) or isinstance(right, list) else ConfigTuple
    if kind is ast.Add and isinstance(left, list) == isinstance(right, list):
        if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            budget.spend(len(left) + len(right))
            return made([*left, *right], [*origins_of(left), *origins_of(right)])
    elif kind is ast.Mult:
        items, times = (left, right) if isinstance(left, (list, tuple)) else (right, left)
        if isinstance(times, int):
            count = max(times, 0)
            budget.spend(len(items) * count + 1)
            return made(list(items) * count, origins_of(items) * count)
    raise TypeError(f"unsupported operand types: {_type_name(left)} and {_type_name(right)}")


def compare(op: ast.cmpop, left: Any, right: Any, budget: Budget) -> bool:
    """`left op right`.

    Raises:
        NotKnownError: It takes values that are not known here.
        TypeError: As Python does.
    """
    if isinstance(op, (ast.Is, ast.IsNot)):
        # Which equal values are one object is up to the interpreter, except for these.
        if not any(value is None or isinstance(value, bool) for value in (left, right)):
            raise NotKnownError("whether two values are the same object")
        return (left is right) == isinstance(op, ast.Is)
    spend_whole(left, budget)
    spend_whole(right, budget)
    if isinstance(op, (ast.In, ast.NotIn)):
        return (left in right) == isinstance(op, ast.In)
    return bool(_ORDER[type(op)](left, right))


def origins_of(items: Any) -> list[Any]:
    """The origins of a sequence's items, None where there are none."""
    origins = getattr(items, "origins", None)
    return list(origins) if origins is not None else [None] * len(items)


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise LimitError("a number is too large")
    return value


def _type_name(value: Any) -> str:
    for plain in (dict, list, tuple, str):
        if isinstance(value, plain):
            return plain.__name__
    return type(value).__name__
