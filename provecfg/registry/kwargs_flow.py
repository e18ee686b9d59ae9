"""Where the `**kwargs` of a constructor go, read from its syntax tree.

Most classes of the mm packages take `**kwargs`. Some hand them to a parent that checks them, some pick two names out,
and some drop them, so that a misspelt argument is accepted and never used. `flow_of` says which, for one function;
following a flow through the classes it leads to is the business of `classes`.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from provecfg.registry.syntax import dotted_text, is_text, last_name, method

Resolve = Callable[[str], "str | None"]
"""From a name as the source writes it (`nn.Conv2d`) to its full dotted name, or None if that is not known."""

NEXT_INIT = "super"
"""The callee of a target that is the next `__init__` in the method resolution order."""

# What a method's parameter of this name is, in every hook of mmengine: the hooks keep their **kwargs and hand them to a
# method of the runner later (mmengine/hooks/checkpoint_hook.py).
_WELL_KNOWN_OBJECTS = {"runner": "mmengine.runner.runner.Runner"}

_MESSAGES = {"warn", "print", "print_log", "info", "warning", "debug", "error", "format", "repr", "str"}


class Target(NamedTuple):
    """A call that is handed the keyword arguments.

    Args:
        callee: `super` (the next `__init__`), `super:DOTTED` (the next one after that class), or a dotted name.
        positional: How many arguments the call gives by position; -1 if that is not known.
        given: Names that the call gives itself, which a caller therefore cannot.
        conditional: Whether the call is made only in some cases.
    """

    callee: str
    positional: int = 0
    given: tuple[str, ...] = ()
    conditional: bool = False


class Delegate(NamedTuple):
    """The keyword arguments become a config dict whose type is one of the function's own parameters.

    Args:
        parameter: The parameter that holds the type's name, such as `resize_type`.
        given: Names that are set beside them.
    """

    parameter: str
    given: tuple[str, ...] = ()


class Flow(NamedTuple):
    """What happens to the keyword arguments that no parameter takes.

    Args:
        reads: Names that are looked up.
        sets: Names that are overwritten whatever the caller gave.
        targets: Calls that are handed the rest.
        delegates: Config dicts that are made of the rest.
        refuses: Whether the function itself raises for a name that it does not know.
        unknown: Whether they go somewhere that reading cannot follow.
    """

    reads: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    delegates: tuple[Delegate, ...] = ()
    refuses: bool = False
    unknown: bool = False


OPEN = Flow(unknown=True)


def renamed_by_decorator(function: ast.FunctionDef) -> tuple[str, ...]:
    """Old argument names that mmcv's or mmengine's `deprecated_api_warning({'old': 'new'})` still takes."""
    names: list[str] = []
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and last_name(decorator.func) == "deprecated_api_warning":
            for arg in decorator.args[:1]:
                if isinstance(arg, ast.Dict):
                    names += [key.value for key in arg.keys if is_text(key)]
    return tuple(names)


def flow_of(function: ast.FunctionDef, owner: ast.ClassDef | None, resolve: Resolve) -> Flow | None:
    """Where the `**kwargs` of a function go, or None where it has none.

    Args:
        function: The `__init__` (or a registered function).
        owner: The class around it, or None.
        resolve: Finds the full name of what the function calls.
    """
    if function.args.kwarg is None:
        return None
    reader = _Reader(function, owner, resolve)
    try:
        reader.read()
    except RecursionError:
        return OPEN
    return reader.flow()


class _Reader:
    def __init__(self, function: ast.FunctionDef, owner: ast.ClassDef | None, resolve: Resolve) -> None:
        if function.args.kwarg is None:
            raise ValueError(f"{function.name} takes no keyword arguments")
        self.function = function
        self.owner = owner
        self.resolve = resolve
        self.name = function.args.kwarg.arg
        arguments = function.args
        self.parameters = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        self.reads: dict[str, None] = {}
        self.sets: dict[str, None] = {}
        self.targets: list[Target] = []
        self.delegates: list[Delegate] = []
        self.refuses = False
        self.unknown = False

    def flow(self) -> Flow:
        return Flow(
            reads=tuple(self.reads),
            sets=tuple(self.sets),
            targets=tuple(self.targets),
            delegates=tuple(self.delegates),
            refuses=self.refuses,
            unknown=self.unknown,
        )

    def read(self) -> None:
        for path in _paths(self.function, ast.Name):
            node = path[-1]
            if isinstance(node, ast.Name) and node.id == self.name:
                self._use(path)

    def _use(self, path: list[ast.AST]) -> None:
        node, parent = path[-1], path[-2]
        conditional = any(
            isinstance(step, (ast.If, ast.IfExp, ast.Try, ast.For, ast.While, ast.BoolOp)) for step in path
        )
        if any(isinstance(step, ast.Raise) for step in path):
            self.refuses = True
        elif isinstance(parent, ast.keyword) and parent.arg is None:
            self._handed_over(path[-3], path[:-3], conditional)
        elif isinstance(parent, ast.Attribute) and isinstance(path[-3], ast.Call):
            self._asked(parent.attr, path[-3], conditional)
        elif isinstance(parent, ast.Subscript):
            self._subscript(parent, path, conditional)
        elif isinstance(parent, ast.Compare) and node in parent.comparators:
            self._looked_for(parent, path)
        elif isinstance(parent, ast.Assign) and node is parent.value:
            self._kept(parent)
        elif self._decides_a_raise(path):
            self.refuses = True
        elif not self._is_message(path):
            self.unknown = True

    def _handed_over(self, call: ast.AST, around: list[ast.AST], conditional: bool) -> None:
        """The keyword arguments are unpacked into `call`."""
        if not isinstance(call, ast.Call):  # {**kwargs}
            self.unknown = True
            return
        keywords = tuple(keyword.arg for keyword in call.keywords if keyword.arg)
        positional = -1 if any(isinstance(arg, ast.Starred) for arg in call.args) else len(call.args)
        # super().__init__(*args, **kwargs) hands on what the caller gave by position, and a config gives nothing so
        own_varargs = self.function.args.vararg
        if own_varargs and all(
            not isinstance(arg, ast.Starred) or dotted_text(arg.value) == own_varargs.arg for arg in call.args
        ):
            positional = sum(not isinstance(arg, ast.Starred) for arg in call.args)
        if last_name(call.func) in _MESSAGES:
            return
        if dotted_text(call.func) == "dict":
            self._made_a_dict(call, keywords)
            return
        own = self._own_method(call.func)
        if own is not None:
            self._into_own_method(own, keywords)
            return
        callee = self._callee(call.func)
        if callee is None:
            self.unknown = True
            return
        if callee.endswith(".__init__"):  # Base.__init__(self, ...)
            callee, positional = callee[: -len(".__init__")], max(positional - 1, -1)
        self.targets.append(Target(callee, positional, keywords, conditional))

    def _callee(self, function: ast.expr) -> str | None:
        if isinstance(function, ast.Attribute) and function.attr == "__init__":
            inner = function.value
            if isinstance(inner, ast.Call) and dotted_text(inner.func) == "super":
                if not inner.args:
                    return NEXT_INIT
                after = dotted_text(inner.args[0])
                if self.owner is not None and after in (self.owner.name, "__class__"):
                    return NEXT_INIT
                resolved = self.resolve(after) if after else None
                return f"{NEXT_INIT}:{resolved}" if resolved else None
        name = dotted_text(function)
        if name is None or name.split(".")[0] in ("self", *self.parameters):
            return None
        return self.resolve(name)

    def _own_method(self, function: ast.expr) -> ast.FunctionDef | None:
        name = dotted_text(function) or ""
        if self.owner is None or not name.startswith("self.") or name.count(".") != 1:
            return None
        return method(self.owner, name[len("self.") :])

    def _into_own_method(self, own: ast.FunctionDef, keywords: tuple[str, ...]) -> None:
        arguments = own.args
        if own is self.function or arguments.vararg:
            self.unknown = True
            return
        self.reads |= dict.fromkeys(
            a.arg for a in (*arguments.args[1:], *arguments.kwonlyargs) if a.arg not in keywords
        )
        if arguments.kwarg is None:
            self.refuses = True
            return
        inner = _Reader(own, self.owner, self.resolve)
        inner.read()
        self.reads |= inner.reads
        self.targets += inner.targets
        self.delegates += inner.delegates
        self.refuses |= inner.refuses
        self.unknown |= inner.unknown

    def _made_a_dict(self, call: ast.Call, keywords: tuple[str, ...]) -> None:
        for keyword in call.keywords:
            if keyword.arg == "type" and dotted_text(keyword.value) in self.parameters:
                others = tuple(name for name in keywords if name != "type")
                self.delegates.append(Delegate(dotted_text(keyword.value) or "", others))
                return
        self.unknown = True

    def _asked(self, question: str, call: ast.Call, conditional: bool) -> None:
        """`kwargs.get('x')` and its kin."""
        first = call.args[0] if call.args else None
        if question in ("get", "pop", "setdefault") and is_text(first):
            self.reads[first.value] = None
        elif question == "update" and not conditional and not call.args and all(k.arg for k in call.keywords):
            self.sets |= dict.fromkeys(k.arg for k in call.keywords if k.arg)
        else:
            self.unknown = True

    def _subscript(self, node: ast.Subscript, path: list[ast.AST], conditional: bool) -> None:
        names = self._key_names(node.slice, path)
        if names is None:
            self.unknown = True
        elif isinstance(node.ctx, ast.Store) and not conditional:
            self.sets |= dict.fromkeys(name for name in names if name not in self.reads)
        else:
            self.reads |= dict.fromkeys(names)

    def _looked_for(self, node: ast.Compare, path: list[ast.AST]) -> None:
        """`'x' in kwargs`; an assertion that it is not there is a refusal, and so is left out."""
        names = self._key_names(node.left, path)
        if names is None:
            self.unknown = True
        elif not (isinstance(node.ops[0], ast.NotIn) and isinstance(path[-3], ast.Assert)):
            self.reads |= dict.fromkeys(names)

    def _key_names(self, key: ast.expr, path: list[ast.AST]) -> list[str] | None:
        """The names that a key stands for: a literal, or the variable of a loop over a local literal."""
        if is_text(key):
            return [key.value]
        if not isinstance(key, ast.Name):
            return None
        for step in path:
            if isinstance(step, ast.For):
                target = step.target.elts[0] if isinstance(step.target, ast.Tuple) else step.target
                if dotted_text(target) == key.id:
                    return self._literal_keys(step.iter)
        return None

    def _literal_keys(self, node: ast.expr) -> list[str] | None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._literal_keys(node.func.value)
        if isinstance(node, ast.Name):
            for statement in ast.walk(self.function):
                if isinstance(statement, ast.Assign) and [dotted_text(t) for t in statement.targets] == [node.id]:
                    return self._literal_keys(statement.value)
            return None
        if isinstance(node, ast.Call) and dotted_text(node.func) == "dict":
            return [keyword.arg for keyword in node.keywords if keyword.arg]
        if isinstance(node, ast.Dict):
            return [key.value for key in node.keys if is_text(key)]
        if isinstance(node, (ast.List, ast.Tuple)):
            return [item.value for item in node.elts if is_text(item)]
        return None

    def _kept(self, node: ast.Assign) -> None:
        """`self.args = kwargs`: follow the attribute to where the class's methods unpack it."""
        stored = [dotted_text(target) or "" for target in node.targets]
        if self.owner is None or len(stored) != 1 or not stored[0].startswith("self."):
            self.unknown = True
            return
        is_kept = False
        for path in _paths(self.owner, ast.Attribute):
            if dotted_text(path[-1]) == stored[0] and node not in path:
                is_kept = True
                if not (isinstance(path[-2], ast.keyword) and isinstance(path[-3], ast.Call)):
                    self.unknown = True
                    continue
                call = path[-3]
                callee = dotted_text(call.func) or ""
                variable, _, rest = callee.partition(".")
                if variable not in _WELL_KNOWN_OBJECTS or "." in rest or not rest:
                    self.unknown = True
                    continue
                target = Target(
                    callee=f"{_WELL_KNOWN_OBJECTS[variable]}.{rest}",
                    positional=-1 if any(isinstance(a, ast.Starred) for a in call.args) else len(call.args),
                    given=tuple(k.arg for k in call.keywords if k.arg),
                )
                if target not in self.targets:
                    self.targets.append(target)
        if not is_kept:
            self.unknown = True

    def _decides_a_raise(self, path: list[ast.AST]) -> bool:
        """`if kwargs: raise ...` and `assert not kwargs`."""
        for outer, inner in itertools.pairwise(path):
            if isinstance(outer, ast.Assert):
                return True
            if isinstance(outer, ast.If) and inner is outer.test:
                return any(isinstance(statement, ast.Raise) for statement in outer.body)
        return False

    def _is_message(self, path: list[ast.AST]) -> bool:
        return any(isinstance(step, ast.Call) and last_name(step.func) in _MESSAGES for step in path)


def _paths(root: ast.AST, wanted: type[ast.AST]) -> Iterator[list[ast.AST]]:
    """Every node of a kind below `root` in the order of the source, with the nodes that lead to it."""
    seen: list[tuple[ast.AST, int]] = []
    stack: list[tuple[ast.AST, int]] = [(root, -1)]
    while stack:
        node, parent = stack.pop()
        seen.append((node, parent))
        here = len(seen) - 1
        if isinstance(node, wanted):
            path = []
            while here >= 0:
                path.append(seen[here][0])
                here = seen[here][1]
            yield path[::-1]
            here = len(seen) - 1
        stack += [(child, here) for child in reversed(list(ast.iter_child_nodes(node)))]
