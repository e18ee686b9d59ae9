"""Calls: of functions that are known, of methods, and of the config's own functions."""

from __future__ import annotations

import ast
from abc import abstractmethod
from typing import Any

from provecfg.mmconfig.assignment import Assignment
from provecfg.mmconfig.budget import MAX_CALLS, LimitError
from provecfg.mmconfig.effects import local_names
from provecfg.mmconfig.functions import MODULES
from provecfg.mmconfig.methods import call_method
from provecfg.mmconfig.reader import Scope, python_name
from provecfg.mmconfig.sizes import SCALARS
from provecfg.mmconfig.special import Builtin, Imported, LocalFunction, LocalScope, Method, Module, NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigTuple, DottedName

_NEEDS_KNOWN = frozenset(("get", "pop", "setdefault", "extend", "update", "remove", "index", "insert", "merge"))
"""Methods of containers that look at their first argument; the others only store it."""
_KEEPS = frozenset(("append", "insert", "setdefault"))
"""Methods of containers that keep what they are given."""


class Calls(Assignment):
    """Calls functions on values."""

    def call(self, function: Any, positional: list[Any], keywords: ConfigDict) -> Any:
        """`function(*positional, **keywords)` on values.

        Raises:
            NotKnownError: The function is not known, or what it does with these values.
        """
        if isinstance(function, LocalFunction):
            return self.call_local(function, positional, keywords)
        if isinstance(function, Method):
            if not isinstance(function.receiver, (dict, list, set)) or function.name in _NEEDS_KNOWN:
                for value in positional:
                    self.known(value)
            if function.name in _KEEPS:
                positional = list(map(self.kept, positional))
            return call_method(self, function.receiver, function.name, positional, keywords)
        if isinstance(function, Builtin) and function.run is not None:
            for value in (*positional, *(() if function.name == "builtins.dict" else keywords.values())):
                self.known(value)
            return function.run(self, positional, keywords)
        if isinstance(function, (DottedName, Imported)):
            name = function if isinstance(function, DottedName) else function.name
            raise NotKnownError(f"{name}() is not run")
        if isinstance(function, (*SCALARS, dict, list, tuple, set)):
            raise TypeError(f"{python_name(function)!r} object is not callable")
        raise NotKnownError("a function that is not known is not run")

    def call_local(self, function: LocalFunction, positional: list[Any], keywords: ConfigDict) -> Any:
        """Call a function of the config."""
        if self.calls >= MAX_CALLS:
            raise LimitError("its functions call each other too deeply")
        scope = LocalScope(_bind(function, list(map(self.kept, positional)), keywords), function.names)
        self.budget.spend(len(scope))
        outer = self.scopes
        self.scopes = (*function.scopes, scope)
        self.calls += 1
        try:
            if isinstance(function.body, list):
                return self.run_body(function.body)
            return self.evaluate(function.body)
        except NotKnownError as unknown:
            for part in function.body if isinstance(function.body, list) else ():
                self.forget(part, unknown.reason)
            raise
        finally:
            self.calls -= 1
            self.scopes = outer

    @abstractmethod
    def run_body(self, body: list[ast.stmt]) -> Any:
        """What a function's statements return."""

    def function(self, name: str, arguments: ast.arguments, body: list[ast.stmt] | ast.expr) -> LocalFunction:
        """A function of the config, its defaults evaluated."""
        defaults = tuple(self.evaluate(default) for default in arguments.defaults)
        keyword_defaults = {
            argument.arg: self.evaluate(default)
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if default is not None
        }
        names = local_names(arguments, body) if isinstance(body, list) else frozenset()
        return LocalFunction(name, arguments, body, self.scopes, defaults, keyword_defaults, names)

    def member(self, module: str, name: str) -> Any:
        """What `name` is in a module of the standard library.

        Raises:
            NotKnownError: It is not one that is known here.
        """
        if module == "os" and name == "path":
            return Module("os.path")
        functions = MODULES.get(module, {})
        if name in functions:
            return functions[name]
        return Imported(f"{module}.{name}")


def _bind(function: LocalFunction, positional: list[Any], keywords: ConfigDict) -> Scope:
    """The parameters of a call by name."""
    arguments = function.arguments
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    scope: Scope = dict(zip(names, positional, strict=False))
    if len(positional) > len(names) and arguments.vararg is None:
        raise TypeError(f"{function.name}() takes {len(names)} positional arguments but {len(positional)} were given")
    if arguments.vararg is not None:
        scope[arguments.vararg.arg] = ConfigTuple(positional[len(names) :])
    only_keywords = [argument.arg for argument in arguments.kwonlyargs]
    rest = ConfigDict()
    by_keyword = {*(argument.arg for argument in arguments.args), *only_keywords}
    for name, value in keywords.items():
        if name in scope and name in by_keyword:
            raise TypeError(f"{function.name}() got multiple values for argument {name!r}")
        if name in by_keyword:
            scope[name] = value
        elif arguments.kwarg is not None:
            rest.put(name, value, keywords.origins.get(name))
        else:
            raise TypeError(f"{function.name}() got an unexpected keyword argument {name!r}")
    if arguments.kwarg is not None:
        scope[arguments.kwarg.arg] = rest
    defaults = dict(zip(names[len(names) - len(function.defaults) :], function.defaults, strict=True))
    for name in (*names, *only_keywords):
        if name not in scope:
            if name in defaults:
                scope[name] = defaults[name]
            elif name in function.keyword_defaults:
                scope[name] = function.keyword_defaults[name]
            else:
                raise TypeError(f"{function.name}() missing a required argument: {name!r}")
    return scope
