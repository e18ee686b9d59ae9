"""The excerpts of the installed classes' constructors, for the snapshot."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.registry import Registry

from provecfg.registry.layout import RUNNER_METHODS
from provecfg.registry.preconditions.excerpt import (
    attributes_read,
    attributes_set,
    excerpt,
    functions_called,
    literal_of,
    own_methods_called,
)
from provecfg.registry.preconditions.execution import LATER
from provecfg.registry.preconditions.natives import FUNCTIONS, REGISTRY
from provecfg.registry.syntax import last_name

Tree = Callable[[Callable[..., Any]], "ast.FunctionDef | None"]

_FOLLOWED = ("mmengine.", "mmcv.", "mmseg.", "mmdet.")
"""Packages whose functions and methods are followed."""
_TRANSPARENT = frozenset(
    {"cache_randomness", "avoid_cache_randomness", "staticmethod", "no_grad", "autocast_box_type"}
    | {"deprecated_api_warning"}
)
"""Decorators that hand a call on as it is."""
_FILLING = frozenset({"add", "append", "extend", "insert", "setdefault", "update"})
_FOLLOWED_CLASSES = (*_FOLLOWED, "torch.nn.modules.", "torch.utils.data.")
"""Packages of which making an object is."""


class Excerpts:
    """Makes them.

    Args:
        classes: Every class of the snapshot by its dotted name; it grows while classes are found that these make.
        add: Adds a class to them.
        tree_of: Finds the definition of a Python function.
    """

    def __init__(self, classes: Mapping[str, type], add: Callable[[type], object], tree_of: Tree) -> None:
        self.by_name = classes
        self.add = add
        self.tree_of = tree_of
        self.natives = {id(_object(name)): name for name in FUNCTIONS}
        self.needed: frozenset[str] | None = None
        self.made: dict[tuple[object, str], list[ast.stmt]] = {}
        self.functions: dict[str, Callable[..., Any]] = {}

    def rows(self) -> dict[type, tuple[dict[str, str], dict[str, str]]]:
        """Of each class, its excerpts by method and the constants that excerpts look at."""
        for _ in range(2):  # the first time to see which attributes are looked at
            self.made.clear()
            followed = self._make_all()
            self.needed = frozenset(name for body in self.made.values() for name in attributes_read(body))
        rows = {}
        for cls in self.by_name.values():
            excerpts = {}
            for name in sorted(self._followed_in(cls, followed)):
                body = self._of_method(cls, name)
                if body:
                    excerpts[name] = _text(body) if name == "__init__" else self._as_method(cls, name, body)
                elif name != "__init__":
                    excerpts[name] = ""
            constants = {
                name: text
                for name in sorted((self.needed or frozenset()) & vars(cls).keys())
                if (text := self._constant(vars(cls)[name])) is not None
            }
            rows[cls] = excerpts, constants
        return rows

    def _make_all(self) -> set[str]:
        """Make the excerpts of all classes, those found on the way included; returns the methods that are followed."""
        followed = {"__init__", *(name for names in LATER.values() for name in names)}
        followed |= {method for method, _ in RUNNER_METHODS.values()}
        before = (-1, -1)
        while before != (len(self.by_name), len(followed)):
            before = len(self.by_name), len(followed)
            for cls in list(self.by_name.values()):
                for name in self._followed_in(cls, followed):
                    self._of_method(cls, name)
                for value in vars(cls).values():
                    if isinstance(value, (dict, list, tuple)):
                        self._constant(value)
            followed |= {name for body in self.made.values() for name in own_methods_called(body)}
        return followed

    @staticmethod
    def _followed_in(cls: type, followed: set[str]) -> set[str]:
        is_followed = f"{cls.__module__}.".startswith(_FOLLOWED)
        return (followed if is_followed else {"__init__"}) & vars(cls).keys()

    def function_rows(self) -> dict[str, tuple[Callable[..., Any], str]]:
        """Of each function that an excerpt calls, it and its excerpt, by dotted name."""
        called = {name for body in self.made.values() for name in functions_called(body)}
        return {
            dotted: (function, _text(self.made[function, ""]))
            for dotted, function in sorted(self.functions.items())
            if dotted in called and self.made.get((function, ""))
        }

    def _as_method(self, cls: type, name: str, body: list[ast.stmt]) -> str:
        tree = self._method_tree(cls, name)
        assert tree is not None
        arguments = _bare(tree.args)
        if isinstance(vars(cls)[name], staticmethod):
            arguments.args.insert(0, ast.arg("_"))
        return _text([ast.FunctionDef(name, arguments, body, [], lineno=0)])

    def _method_tree(self, cls: type, name: str) -> ast.FunctionDef | None:
        method = inspect.unwrap(vars(cls)[name]) if callable(vars(cls).get(name)) else None
        return self.tree_of(method) if inspect.isfunction(method) else None

    def _of_method(self, cls: type, name: str) -> list[ast.stmt] | None:
        """The excerpt of a class's own method; None where it has none of that name."""
        if name not in vars(cls):
            return None
        tree = self._method_tree(cls, name)
        if tree is None or any(last_name(decorator) not in _TRANSPARENT for decorator in tree.decorator_list):
            return []
        return self._of((cls, name), inspect.unwrap(vars(cls)[name]), tree, cls)

    def _of(
        self, key: tuple[object, str], function: types.FunctionType, tree: ast.FunctionDef, cls: type | None
    ) -> list[ast.stmt]:
        if key not in self.made:
            self.made[key] = []  # while it is made: one that calls itself is not followed
            self.made[key] = excerpt(
                tree,
                functools.partial(self._resolve, function),
                functools.partial(self._has_excerpt, cls),
                functools.partial(self._sets, cls),
                needed=self.needed,
            )
        return self.made[key]

    def _has_excerpt(self, cls: type | None, name: str) -> bool:
        if name.startswith("self."):
            method = name.removeprefix("self.")
            owner = _owner(cls, method) if cls is not None else None
            if owner is None or not f"{owner.__module__}.".startswith(_FOLLOWED):
                return False
            return bool(self._of_method(owner, method))
        made = self.by_name.get(name)
        if made is not None:
            return any(self._of_method(ancestor, "__init__") for ancestor in made.__mro__)
        if name not in self.functions:
            named = _object(name) if name.startswith(_FOLLOWED_CLASSES) else None
            if inspect.isclass(named) and f"{named.__module__}.{named.__qualname__}" == name:
                self.add(named)
                return self._has_excerpt(cls, name)
            if (
                not name.startswith(_FOLLOWED)
                or not inspect.isfunction(named)
                or f"{named.__module__}.{named.__qualname__}" != name
            ):
                return False
            self.functions[name] = named
        function = inspect.unwrap(self.functions[name])
        tree = self.tree_of(function) if inspect.isfunction(function) else None
        return tree is not None and bool(self._of((self.functions[name], ""), function, tree, None))

    def _sets(self, cls: type | None, name: str) -> frozenset[str] | None:
        """What calling a method sets, in this class or in one that inherits from it."""
        if cls is None:
            return None
        attributes: frozenset[str] = frozenset()
        for heir in list(self.by_name.values()):
            if not issubclass(heir, cls):
                continue
            owner = _owner(heir, name)
            if owner is None:
                continue  # no method: a part of the object that is called
            if isinstance(vars(owner)[name], (classmethod, staticmethod)):
                continue  # it has no object whose attributes it could set
            tree = self._method_tree(owner, name)
            if tree is None and f"{owner.__module__}.".startswith(_FOLLOWED):
                return None
            if tree is not None:
                attributes |= attributes_set(tree, functools.partial(self._tree_in, heir))
        return attributes

    def _tree_in(self, cls: type, name: str) -> ast.FunctionDef | None:
        owner = _owner(cls, name)
        return None if owner is None else self._method_tree(owner, name)

    def _resolve(self, where: types.FunctionType, name: str) -> str | ast.expr | None:
        head, _, rest = name.partition(".")
        if head not in where.__globals__:
            return None
        try:
            meant = functools.reduce(getattr, rest.split(".") if rest else [], where.__globals__[head])
        except AttributeError:
            return None
        if getattr(builtins, head, self) is meant:
            return None
        if isinstance(meant, Registry):
            return f"{REGISTRY}{meant.name.replace(' ', '_')}"
        if inspect.ismethod(meant) and isinstance(meant.__self__, Registry):
            if meant.__name__ != "build":
                return f"{REGISTRY}{meant.__self__.name.replace(' ', '_')}.{meant.__name__}"
            meant = meant.__self__.build_func
        if id(meant) in self.natives:
            return self.natives[id(meant)]
        origin = typing.get_origin(meant)
        if origin is not None:
            meant = origin
        if inspect.isclass(meant):
            return meant.__qualname__ if meant.__module__ == "builtins" else f"{meant.__module__}.{meant.__qualname__}"
        if inspect.isfunction(meant):
            return f"{meant.__module__}.{meant.__qualname__}"
        if meant is None or isinstance(meant, bool):
            return None  # as a rule, whether a package could be imported here
        if isinstance(meant, (dict, list, set)) and _is_filled_later(meant):
            return None
        return literal_of(meant, lambda value: None)

    def _constant(self, value: object) -> str | None:
        literal = literal_of(value, self._class_name)
        return None if literal is None else ast.unparse(literal)

    def _class_name(self, value: object) -> str | None:
        """The dotted name of a class that can be followed, which is added."""
        if not inspect.isclass(value):
            return None
        name = f"{value.__module__}.{value.__qualname__}"
        if not name.startswith(_FOLLOWED_CLASSES) or "<" in name:
            return None
        if name not in self.by_name:
            self.add(value)
        return name


def _is_filled_later(table: object) -> bool:
    """Whether a function of a module that has this table puts things into it, as mmdet's `register_box_type` does.

    Other packages call such a function when they are imported, so that what is in the table here is not all.
    """
    for module in list(sys.modules.values()):
        if not f"{getattr(module, '__name__', '')}.".startswith(_FOLLOWED):
            continue
        names = {name for name, value in vars(module).items() if value is table}
        if names and names & _names_filled(module):
            return True
    return False


@functools.cache
def _names_filled(module: types.ModuleType) -> frozenset[str]:
    """The names of a module that its functions put things into."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):
        return frozenset()
    filled: set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
                filled.add(node.value.id)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FILLING:
                filled |= {node.func.value.id} if isinstance(node.func.value, ast.Name) else set()
    return frozenset(filled)


def _owner(cls: type, name: str) -> type | None:
    """The class that an attribute of a class's objects comes from."""
    return next((ancestor for ancestor in cls.__mro__ if name in vars(ancestor)), None)


def _object(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None


def _bare(arguments: ast.arguments) -> ast.arguments:
    """A signature without annotations."""

    def bare(argument: ast.arg | None) -> ast.arg | None:
        return None if argument is None else ast.arg(argument.arg)

    return ast.arguments(
        posonlyargs=[ast.arg(argument.arg) for argument in arguments.posonlyargs],
        args=[ast.arg(argument.arg) for argument in arguments.args],
        vararg=bare(arguments.vararg),
        kwonlyargs=[ast.arg(argument.arg) for argument in arguments.kwonlyargs],
        kw_defaults=arguments.kw_defaults,
        kwarg=bare(arguments.kwarg),
        defaults=arguments.defaults,
    )


def _text(body: list[ast.stmt]) -> str:
    """Source of statements, a space for each level."""
    text = ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))
    lines = []
    for line in text.split("\n"):
        bare = line.lstrip(" ")
        lines.append(" " * ((len(line) - len(bare)) // 4) + bare)
    return "\n".join(lines)
