"""The calls by which a module registers its classes and functions, in its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from provecfg.registry.syntax import dotted_text, outer_statements


def registers(call: ast.Call) -> bool:
    """Whether a call is one of a registry's `register_module`."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("register_module", "_register_module")


def registering_calls(body: list[ast.stmt]) -> Iterator[tuple[ast.Call, str | None]]:
    """Every call at a module's top level that registers something.

    Args:
        body: The module's statements.

    Yields:
        The call, and the dotted name of what it registers as the module writes it, or None where that is no name:
        `@X.register_module()`, `X.register_module(module=Y)`, `X.register_module(...)(Y)`.
    """
    for statement in outer_statements(body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            for decorator in statement.decorator_list:
                if isinstance(decorator, ast.Call) and registers(decorator):
                    yield decorator, statement.name
        elif isinstance(statement, (ast.Expr, ast.Assign)) and isinstance(statement.value, ast.Call):
            call = statement.value
            target = next((k.value for k in call.keywords if k.arg == "module"), None)
            if isinstance(call.func, ast.Call) and len(call.args) == 1:
                call, target = call.func, call.args[0]
            if registers(call):
                yield call, dotted_text(target)
