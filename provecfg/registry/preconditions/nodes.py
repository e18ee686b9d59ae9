"""Questions to the syntax tree of an excerpt."""

from __future__ import annotations

import ast
import functools

from provecfg.registry.preconditions.excerpt import GLOBAL


def slice_parts(node: ast.Slice) -> tuple[ast.expr | None, ...]:
    """The three expressions of a slice."""
    return node.lower, node.upper, node.step


def loaded(node: ast.expr) -> ast.expr:
    """What reads the target of an assignment."""
    if isinstance(node, ast.Name):
        return ast.Name(node.id, ast.Load())
    if isinstance(node, ast.Attribute):
        return ast.Attribute(node.value, node.attr, ast.Load())
    return ast.Subscript(node.value, node.slice, ast.Load()) if isinstance(node, ast.Subscript) else node


@functools.lru_cache(maxsize=65_536)
def dotted_name(node: ast.expr) -> str | None:
    """The full name that `__.a.b` stands for, or None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed(parts)) if isinstance(node, ast.Name) and node.id == GLOBAL else None


def look_up(node: ast.AST) -> tuple[ast.expr, str] | None:
    """What `x['key']`, `x[0]`, `x.get('key')` and `x.pop('key')` look into, and the step into it."""
    if isinstance(node, ast.Subscript):
        owner, key = node.value, node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "pop")
        and node.args
    ):
        owner, key = node.func.value, node.args[0]
    else:
        return None
    if not isinstance(key, ast.Constant) or isinstance(key.value, bool):
        return None
    if isinstance(key.value, str):
        return owner, f".{key.value}"
    return (owner, f"[{key.value}]") if isinstance(key.value, int) and isinstance(node, ast.Subscript) else None


def is_own(node: ast.expr) -> bool:
    """Whether a node is an attribute of `self`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def shown(node: ast.AST) -> str:
    """The source of a node."""
    return ast.unparse(node).replace(f"{GLOBAL}.", "")
