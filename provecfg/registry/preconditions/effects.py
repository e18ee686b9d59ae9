"""What statements do where it is not known whether they run."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Any

from provecfg.registry.preconditions.excerpt import GLOBAL
from provecfg.registry.preconditions.nodes import is_own


def targets(body: list[ast.stmt]) -> tuple[set[str], set[str]]:
    """The local names and the attributes of `self` that statements set or change."""
    names: set[str] = set()
    attributes: set[str] = set()
    for statement in body:
        of_names, of_attributes, _, _ = _effects(statement)
        names |= of_names
        attributes |= of_attributes
    return names, attributes


def may_leave(body: list[ast.stmt]) -> bool:
    """Whether one of the statements may leave the function or the loop."""
    return any(_effects(statement)[2] for statement in body)


def calls_own_method(body: list[ast.stmt]) -> bool:
    """Whether one of them calls a method of `self`, which may set any attribute."""
    return any(_effects(statement)[3] for statement in body)


def items_changed(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    """Local dicts and the keys that statements take out of them or put in."""
    for statement in body:
        yield from _items_changed_by(statement)


@functools.lru_cache(maxsize=4096)
def _effects(node: ast.stmt) -> tuple[frozenset[str], frozenset[str], bool, bool]:
    """Names and attributes that a statement sets or changes, whether it may leave, whether it calls own methods."""
    names: set[str] = set()
    attributes: set[str] = set()
    leaves = calls = False
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            attributes.add(inner.attr)
        elif isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
            _changed(inner.value, names, attributes)
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr == "__init__" or is_own(inner.func):
                calls = True
            elif _item_changed(inner) is None:
                _changed(inner.func.value, names, attributes)
        elif isinstance(inner, (ast.Return, ast.Break, ast.Continue)):
            leaves = True
    return frozenset(names), frozenset(attributes), leaves, calls


def _item_changed(node: ast.Call) -> tuple[str, Any] | None:
    """The local dict and the key that `x.pop('key')` changes, or `x.setdefault('key', ...)`."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in ("pop", "setdefault") or not node.args:
        return None
    key = node.args[0]
    if not isinstance(function.value, ast.Name) or not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return None
    return function.value.id, key.value


@functools.lru_cache(maxsize=4096)
def _items_changed_by(node: ast.stmt) -> tuple[tuple[str, Any], ...]:
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return tuple(item for call in calls if (item := _item_changed(call)) is not None)


def _changed(node: ast.expr, names: set[str], attributes: set[str]) -> None:
    while isinstance(node, (ast.Subscript, ast.Call)):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    if isinstance(node, ast.Name) and node.id != GLOBAL:
        names.add(node.id)
    elif isinstance(node, ast.Attribute) and is_own(node):
        attributes.add(node.attr)
