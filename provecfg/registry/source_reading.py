"""What the source text of one class says: its constructor, its `forward`, its loss name."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Set
from typing import Final

from provecfg.registry.kwargs_flow import Flow, Resolve, flow_of, renamed_by_decorator
from provecfg.registry.syntax import dotted_text, last_name, method, outer_statements

# Each of a repository's folders sees its classes in another order, and reads them for itself: files are parsed once, so
# that what is asked of a definition is the same.
_MOST_DEFINITIONS: Final = 4096

_IN_TURN: Final = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""Expressions whose parts may be evaluated at another time, or never."""


def constructor_flow(function: ast.FunctionDef, owner: ast.ClassDef | None, resolve: Resolve) -> Flow | None:
    """Where the `**kwargs` of a constructor go, old names that a decorator renames counted as read."""
    flow = flow_of(function, owner, resolve)
    renamed = renamed_by_decorator(function)
    if not renamed:
        return flow
    if flow is None:
        return Flow(reads=renamed, refuses=True)
    return Flow(
        reads=(*renamed, *flow.reads),
        sets=flow.sets,
        targets=flow.targets,
        delegates=flow.delegates,
        refuses=flow.refuses,
        unknown=flow.unknown,
    )


@functools.lru_cache(maxsize=_MOST_DEFINITIONS)
def defines_loss_name(owner: ast.ClassDef) -> bool:
    """Whether the class body gives its instances a `loss_name`."""
    if method(owner, "loss_name") is not None:
        return True
    for node in ast.walk(owner):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(dotted_text(target) in ("self.loss_name", "loss_name") for target in targets):
            return True
    return False


def names_bound(owner: ast.ClassDef) -> frozenset[str]:
    """The methods and attributes that a class body gives the class."""
    names: set[str] = set()
    for statement in outer_statements(owner.body):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        elif not (isinstance(statement, ast.AnnAssign) and statement.value is None):
            stored = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
            names |= {node.id for node in stored if isinstance(node.ctx, ast.Store)}
    return frozenset(names)


def arguments_changed(constructor: ast.FunctionDef) -> frozenset[str]:
    """The names under which a constructor may give its parent's something else than it is given under them itself:
    those that it binds anew, or gives on in an expression.
    """
    return frozenset(name for node in ast.walk(constructor) for name in _changed_by(node))


def _changed_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
        for keyword in node.keywords:
            if keyword.arg is not None and dotted_text(keyword.value) != keyword.arg:
                yield keyword.arg
        for argument in node.args:
            if not isinstance(argument, (ast.Name, ast.Starred)):
                yield from (part.id for part in ast.walk(argument) if isinstance(part, ast.Name))


def methods_extended(owner: ast.ClassDef) -> frozenset[str]:
    """The methods that are sure to call the parent's method of their name, with the arguments that they get."""
    return frozenset(
        statement.name
        for statement in owner.body
        if isinstance(statement, ast.FunctionDef) and _calls_parents_own(statement)
    )


def _calls_parents_own(function: ast.FunctionDef) -> bool:
    arguments = function.args
    all_of_them = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    parameters = {argument.arg for argument in all_of_them[1:] if argument is not None}
    for statement in function.body:
        if isinstance(statement, (ast.Assign, ast.Expr, ast.Return)) and any(
            _is_parents_own(node, function) for node in _always_evaluated(statement)
        ):
            return True
        if any(_ends_or_changes(node, parameters) for node in ast.walk(statement)):
            return False
    return False


def _ends_or_changes(node: ast.AST, parameters: Set[str]) -> bool:
    """Whether the method may end here, or what it was given be another thing after it."""
    if isinstance(node, ast.Expr):  # which is there for what it does
        return any(isinstance(part, ast.Name) and part.id in parameters for part in ast.walk(node))
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        return dotted_text(_owner(node)) in parameters
    return isinstance(node, (ast.Return, ast.Raise))


def _owner(node: ast.expr) -> ast.expr:
    """What an attribute, or an item, is one of at last."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node


def _is_parents_own(node: ast.AST, function: ast.FunctionDef) -> bool:
    """Whether it is `super().name(a, b, *args, c=c, **kwargs)` of a method of that name which takes these."""
    if not isinstance(node, ast.Call) or not _is_of_parent(node, function.name):
        return False
    arguments = function.args
    taken = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)][1:]
    taken += [f"*{arguments.vararg.arg}"] if arguments.vararg is not None else []
    rest = arguments.kwarg.arg if arguments.kwarg is not None else ""
    positional = [ast.unparse(argument) for argument in node.args]
    by_name = all(dotted_text(keyword.value) == (keyword.arg or rest) for keyword in node.keywords)
    return positional == taken[: len(positional)] and by_name


def _is_of_parent(call: ast.Call, name: str) -> bool:
    """Whether it calls a method of `super()`."""
    target = call.func
    if not isinstance(target, ast.Attribute) or target.attr != name or not isinstance(target.value, ast.Call):
        return False
    return dotted_text(target.value.func) == "super"


def _always_evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a simple statement, those left out whose turn may not come."""
    pending = [node]
    while pending:
        part = pending.pop()
        yield part
        if not isinstance(part, _IN_TURN):
            pending += ast.iter_child_nodes(part)


@functools.lru_cache(maxsize=_MOST_DEFINITIONS)
def texts_of(owner: ast.ClassDef) -> frozenset[str]:
    """Keys that a class body may take out of a dict, or set in it, before it hands that on: the names that it has as
    texts, that it assigns to as attributes of others than `self`, and that it puts into another dict as keywords.
    """
    return frozenset(name for node in ast.walk(owner) for name in _keys_in(node))


def _keys_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        yield node.value
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield node.attr
    elif isinstance(node, ast.Call) and last_name(node.func) in ("ConfigDict", "dict", "update"):
        names = [keyword.arg for keyword in node.keywords if keyword.arg is not None]
        if last_name(node.func) == "update" or node.args or len(names) < len(node.keywords):
            yield from names


def class_count(owner: ast.ClassDef) -> int | None:
    """How many classes the `METAINFO` of a dataset's body names; None where it has none that is spelled out."""
    for statement in owner.body:
        if not isinstance(statement, ast.Assign) or not any(last_name(it) == "METAINFO" for it in statement.targets):
            continue
        for value in _values_under("classes", statement.value):
            if isinstance(value, (ast.List, ast.Tuple)) and not any(isinstance(it, ast.Starred) for it in value.elts):
                return len(value.elts)
    return None


def _values_under(key: str, node: ast.expr) -> Iterator[ast.expr]:
    """What `dict(key=...)` or `{'key': ...}` has under a key."""
    if isinstance(node, ast.Call) and dotted_text(node.func) == "dict":
        yield from (keyword.value for keyword in node.keywords if keyword.arg == key)
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from (value for name, value in pairs if isinstance(name, ast.Constant) and name.value == key)


def is_dataclass(owner: ast.ClassDef) -> bool:
    """Whether `@dataclass` writes the class's `__init__`."""
    for decorator in owner.decorator_list:
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        if last_name(node) == "dataclass":
            return True
    return False


def dataclass_constructor(owner: ast.ClassDef) -> ast.FunctionDef:
    """The `__init__` that `@dataclass` writes for the fields of the class's own body."""
    function = ast.parse("def __init__(self): pass").body[0]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError("a function definition parses to something else")
    for statement in owner.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            function.args.kwonlyargs.append(ast.arg(statement.target.id, statement.annotation))
            function.args.kw_defaults.append(statement.value)
    return function
