"""Small questions to a syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard


class Text(ast.Constant):
    """A constant that holds a str."""

    value: str


def is_text(node: ast.AST | None) -> TypeGuard[Text]:
    """Whether a node is the literal of a str."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def dotted_text(node: ast.AST | None) -> str | None:
    """`a.b.c` as text, or None for anything but names and attributes."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted_text(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


def last_name(node: ast.AST) -> str | None:
    """`c` of `a.b.c`, whatever stands before the last dot."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def method(owner: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    """The last definition of a method in a class body, as Python would take it."""
    definition = None
    for statement in owner.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            definition = statement
    return definition


def outer_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module that run when it is imported, those under `if`, `try` and `with` too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            if dotted_text(statement.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                yield from outer_statements(statement.orelse)
                continue
            yield from outer_statements([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            for part in (statement.body, *(h.body for h in statement.handlers), statement.orelse):
                yield from outer_statements(part)
            yield from outer_statements(statement.finalbody)
        elif isinstance(statement, (ast.With, ast.For, ast.While)):
            yield from outer_statements(statement.body)
