"""What a piece of a config can change when Python runs it, told from its syntax: for pieces that are not run here."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_PURE_METHODS_LISTED = """
    copy count get index items keys values difference intersection issubset issuperset union capitalize casefold center
    endswith find format isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace
    istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition
    rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill to_dict deepcopy
"""
_PURE_METHODS = frozenset(_PURE_METHODS_LISTED.split())
_OWN_METHODS_LISTED = """
    add append clear discard extend insert merge pop popitem remove reverse setdefault update
"""
_OWN_METHODS = frozenset(_OWN_METHODS_LISTED.split())
"""Methods that change what they are called on, and nothing else."""
_PURE_FUNCTIONS_LISTED = """
    abs all any bool callable chr dict divmod enumerate filter float format frozenset hash id int isinstance len list
    map max min ord print range repr reversed round set sorted str sum tuple type zip
"""
_PURE_FUNCTIONS = frozenset(_PURE_FUNCTIONS_LISTED.split())
_REACHES_ALL = frozenset(("eval", "exec", "globals", "locals", "vars"))
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def is_pure_method(name: str) -> bool:
    """Whether a method of text or of a container changes nothing."""
    return name in _PURE_METHODS


def size_of_syntax(node: ast.AST) -> int:
    """How many nodes a piece has, which is what the other functions here go through, however often they are asked."""
    return sum(1 for _ in ast.walk(node))


def bindings(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that a piece may bind, bind anew or delete, those of its functions included, and what binds each."""
    for part in ast.walk(node):
        for name in _bound_by(part):
            yield name, part


def functions_in(node: ast.AST) -> Iterator[ast.AST]:
    """The functions and classes that a piece makes."""
    return (part for part in ast.walk(node) if isinstance(part, (*_DEFINITIONS, ast.Lambda)))


def loaded_names(node: ast.AST) -> set[str]:
    """The names that a piece reads."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def changed_names(node: ast.AST) -> set[str]:
    """The names whose values a piece may change in place: it sets items, calls methods, hands them to functions."""
    changed: set[str | None] = set()
    augmented: set[int] = set()
    bound: set[str | None] = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Subscript, ast.Attribute)):
            if not isinstance(part.ctx, ast.Load):
                changed.add(_root(part))
        elif isinstance(part, ast.AugAssign):
            changed.add(_root(part.target))
            augmented.add(id(part.target))
        elif isinstance(part, ast.Call):
            changed |= _changed_by_call(part)
        if id(part) not in augmented:
            bound.update(_bound_by(part))
    names = {name for name in changed if name is not None}
    if changed and (None in changed or not names.isdisjoint(bound)):
        return names | loaded_names(node)  # what is bound in the piece may be another name of anything in it
    return names


def outer_names(node: ast.AST) -> set[str]:
    """The names that functions in a piece say to bind outside of themselves."""
    return {name for part in ast.walk(node) if isinstance(part, (ast.Global, ast.Nonlocal)) for name in part.names}


def imports_all(node: ast.AST) -> bool:
    """Whether a piece may bind any name at all: `from x import *`."""
    return any(isinstance(part, ast.ImportFrom) and part.names[0].name == "*" for part in ast.walk(node))


def reaches_all(node: ast.AST) -> bool:
    """Whether a piece may bind any name and change any value, as `exec` does."""
    return not _REACHES_ALL.isdisjoint(loaded_names(node))


def local_names(arguments: ast.arguments, body: list[ast.stmt]) -> frozenset[str]:
    """The names that are a function's own: in it they are never those of the outside, even before they are bound."""
    names = {part.arg for part in ast.walk(arguments) if isinstance(part, ast.arg)}
    pending: list[ast.AST] = list(body)
    while pending:
        part = pending.pop()
        if isinstance(part, _COMPREHENSIONS):
            names |= {inner.target.id for inner in ast.walk(part) if isinstance(inner, ast.NamedExpr)}
            continue
        names.update(_bound_by(part))
        if not isinstance(part, (*_DEFINITIONS, ast.Lambda)):
            pending += ast.iter_child_nodes(part)
    return frozenset(names)


def leaves(statement: ast.AST) -> bool:
    """Whether a statement may end the loop, the loop's round or the function that it stands in."""
    if isinstance(statement, (ast.Return, ast.Break, ast.Continue)):
        return True
    if isinstance(statement, (ast.expr, *_DEFINITIONS)):
        return False
    if isinstance(statement, (ast.For, ast.AsyncFor, ast.While)):
        # What breaks in its body breaks itself; what returns there does not.
        returns = any(map(_returns, statement.body))
        return returns or any(map(leaves, statement.orelse))
    return any(map(leaves, ast.iter_child_nodes(statement)))


def _returns(statement: ast.AST) -> bool:
    if isinstance(statement, ast.Return):
        return True
    return not isinstance(statement, (ast.expr, *_DEFINITIONS)) and any(map(_returns, ast.iter_child_nodes(statement)))


def _bound_by(part: ast.AST) -> Iterator[str]:
    if isinstance(part, ast.Name):
        if not isinstance(part.ctx, ast.Load):
            yield part.id
    elif isinstance(part, ast.alias):
        yield part.asname or part.name.partition(".")[0]
    elif isinstance(part, (ast.Global, ast.Nonlocal)):
        yield from part.names
    elif isinstance(part, _DEFINITIONS):
        yield part.name
    elif isinstance(part, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        if part.name is not None:
            yield part.name
    elif isinstance(part, ast.MatchMapping) and part.rest is not None:
        yield part.rest


def _root(node: ast.expr) -> str | None:
    """The name that `a.b[0].c` begins with; None where it begins with something else."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _changed_by_call(call: ast.Call) -> set[str | None]:
    function = call.func
    changed: set[str | None] = set()
    if isinstance(function, ast.Name) and function.id in _PURE_FUNCTIONS:
        return changed
    if isinstance(function, ast.Attribute):
        if function.attr in _PURE_METHODS:
            return changed
        changed.add(_root(function.value))
        if function.attr in _OWN_METHODS:
            return changed
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        changed |= loaded_names(argument)
    return changed
