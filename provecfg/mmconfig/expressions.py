"""Expressions of a config, from syntax tree to values. Nothing is executed: only operations known here are done.

An expression that would raise is a problem, said once; one that cannot be known is an `Opaque` with a note. Either
way the reading goes on, so that the rest of the config can be judged.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from provecfg.mmconfig.budget import MAX_BITS, LimitError
from provecfg.mmconfig.calls import Calls
from provecfg.mmconfig.formatting import format_value, text_of
from provecfg.mmconfig.functions import (
    BUILTINS,
    fill_dict,
    items_of,
    key_of,
)
from provecfg.mmconfig.operators import binary, compare, origins_of, unary
from provecfg.mmconfig.problems import LATE_REFERENCE, UNDEFINED_NAME
from provecfg.mmconfig.reader import PYTHON_ERRORS, Scope, python_name
from provecfg.mmconfig.sizes import SCALARS
from provecfg.mmconfig.source import key_position, position_of
from provecfg.mmconfig.special import (
    BaseReference,
    Iterated,
    LocalFunction,
    Method,
    Module,
    NotKnownError,
)
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple, DottedName, Opaque, Origin


class Expressions(Calls):
    """Evaluates expressions of one file."""

    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression.

        Raises:
            LimitError: It costs more than is left.
        """
        budget = self.budget
        budget.left -= 1
        if budget.left < 0:
            budget.spend(0)
        kind = type(node)
        if kind is ast.Constant and not self.references:
            value = node.value  # type: ignore[attr-defined]
            if type(value) is int and value.bit_length() > MAX_BITS:
                raise LimitError("a number is too large")
            return value
        evaluator = _EVALUATORS.get(kind)
        if evaluator is None:
            return self.unknown(node, f"provecfg does not read this kind of expression ({kind.__name__})")
        try:
            return evaluator(self, node)
        except NotKnownError as unknown:
            return self.unknown(node, unknown.reason)
        except PYTHON_ERRORS as error:
            if isinstance(error, RecursionError):
                raise
            return self.fails(node, error)

    # Names and literals

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise LimitError("a number is too large")
        if isinstance(value, str):
            if value in self.references:
                return BaseReference(self.references[value])
            for placeholder, dotted in self.references.items():
                if placeholder in value:
                    self.report(
                        LATE_REFERENCE,
                        f"{{{{_base_.{dotted}}}}} is part of a longer string and is not replaced",
                        position_of(node),
                        f"write an expression with _base_.{dotted}, outside the quotes",
                    )
                    return Opaque("a placeholder of mmengine stays in it")
        return value

    def _name(self, node: ast.Name) -> Any:
        name = node.id
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in self.variables:
            self.reads.setdefault(name, []).append(position_of(node))
            return self.variables[name]
        if name == "_base_" and self.base is not None:
            return self.base()
        if name in BUILTINS:
            return BUILTINS[name]
        if name == "__file__":
            return str(self.source.path)
        if name == "__name__":
            return "builtins"  # what exec gives a namespace that has no __name__
        if name in _PYTHON_NAMES:
            raise NotKnownError(f"{name}() is not run")
        hint = None
        if self.base is not None and name in self.base():
            hint = f"a variable of the base is _base_.{name} here"
        self.report(UNDEFINED_NAME, f"name {name!r} is not defined", position_of(node), hint)
        return Opaque(f"the name {name!r} is not defined")

    def _list(self, node: ast.List) -> ConfigList:
        return ConfigList(*self._elements(node.elts))

    def _tuple(self, node: ast.Tuple) -> ConfigTuple:
        return ConfigTuple(*self._elements(node.elts))

    def _elements(self, nodes: list[ast.expr]) -> tuple[list[Any], list[Origin | None]]:
        items: list[Any] = []
        origins: list[Origin | None] = []
        source, evaluate = self.source, self.evaluate
        for node in nodes:
            if isinstance(node, ast.Starred):
                value = evaluate(node.value)
                if isinstance(value, Opaque):
                    raise NotKnownError(value.reason)
                more, more_origins = items_of(value, self)
                items += more
                origins += more_origins
                continue
            items.append(evaluate(node))
            origins.append(Origin(source, None, position_of(node)))
        return items, origins

    def _set(self, node: ast.Set) -> set[Any]:
        return {key_of(item, self) for item in self._elements(node.elts)[0]}

    def _dict(self, node: ast.Dict) -> ConfigDict:
        made = ConfigDict()
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.evaluate(value_node)
            if key_node is None:
                self._fill(made, value, value_node)
                continue
            key = key_of(self.known(self.evaluate(key_node)), self)
            made.put(key, value, Origin(self.source, position_of(key_node), position_of(value_node)))
        return made

    def _fill(self, target: ConfigDict, value: Any, node: ast.expr) -> None:
        """`**value` in a literal or a call."""
        if not isinstance(value, dict):
            if isinstance(self.known(value), (*SCALARS, list, tuple, set)):
                raise TypeError(f"{type(value).__name__!r} object is not a mapping")
            raise NotKnownError("a mapping that is not known")
        fill_dict(target, value, self)

    # Operators

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if isinstance(left, BaseReference) or isinstance(right, BaseReference):
            dotted = next(value.dotted for value in (left, right) if isinstance(value, BaseReference))
            self.report(
                LATE_REFERENCE,
                f"{{{{_base_.{dotted}}}}} in an operation is still a placeholder",
                position_of(node),
                f"write _base_.{dotted}, without braces",
            )
            return Opaque("a placeholder of mmengine is part of it")
        if isinstance(left, Opaque) or isinstance(right, Opaque):
            return left if isinstance(left, Opaque) else right
        return binary(node.op, left, right, self.budget)

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.evaluate(node.operand)
        if isinstance(value, Opaque):
            return value
        return not value if isinstance(node.op, ast.Not) else unary(node.op, value)

    def _boolean(self, node: ast.BoolOp) -> Any:
        stops_at = isinstance(node.op, ast.Or)
        value: Any = None
        for operand in node.values:
            value = self.evaluate(operand)
            if isinstance(value, Opaque) or bool(value) == stops_at:
                return value
        return value

    def _compare(self, node: ast.Compare) -> Any:
        left = self.evaluate(node.left)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(right_node)
            if isinstance(left, Opaque) or isinstance(right, Opaque):
                return left if isinstance(left, Opaque) else right
            if not compare(op, left, right, self.budget):
                return False
            left = right
        return True

    def _conditional(self, node: ast.IfExp) -> Any:
        test = self.evaluate(node.test)
        if isinstance(test, Opaque):
            return test
        return self.evaluate(node.body if test else node.orelse)

    def _joined(self, node: ast.JoinedStr) -> Any:
        pieces: list[str] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.known(self.evaluate(part.value))
                if part.conversion != -1:
                    value = text_of(value, self.budget, chr(part.conversion))
                spec = self.known(self._joined(part.format_spec)) if part.format_spec else ""  # type: ignore[arg-type]
                pieces.append(format_value(value, spec, self.budget))
            else:
                pieces.append(self.known(self.evaluate(part)))
        text = "".join(pieces)
        self.budget.spend_text(len(text))
        return text

    def _walrus(self, node: ast.NamedExpr) -> Any:
        value = self.evaluate(node.value)
        if self.scopes:
            raise NotKnownError("an assignment in an expression, in a function or a comprehension")
        self.variables.put(
            node.target.id, value, Origin(self.source, position_of(node.target), position_of(node.value))
        )
        return value

    # Parts of values

    def _subscript(self, node: ast.Subscript) -> Any:
        value = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            parts = [
                None if part is None else self.evaluate(part)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            for part in (value, *parts):
                if isinstance(part, Opaque):
                    return part
            return self._cut(value, slice(*parts))
        index = self.evaluate(node.slice)
        for part in (value, index):
            if isinstance(part, Opaque):
                return part
        if isinstance(value, dict):
            return value[key_of(index, self)]
        if isinstance(value, (str, list, tuple, range)):
            return value[index]
        if isinstance(value, (*SCALARS, set, frozenset)):
            raise TypeError(f"{type(value).__name__!r} object is not subscriptable")
        raise NotKnownError("a part of a value that is not known")

    def _cut(self, value: Any, part: slice) -> Any:
        if isinstance(value, (str, range)):
            self.budget.spend_text(len(value) if isinstance(value, str) else 0)
            return value[part]
        if isinstance(value, (list, tuple)):
            made = ConfigTuple if isinstance(value, tuple) else ConfigList
            items = made(value[part], origins_of(value)[part])
            self.budget.spend(len(items) + 1)
            return items
        if isinstance(value, (*SCALARS, dict, set)):
            raise TypeError(f"{type(value).__name__!r} object cannot be sliced")
        raise NotKnownError("a part of a value that is not known")

    def _attribute(self, node: ast.Attribute) -> Any:
        value = self.evaluate(node.value)
        name = node.attr
        if isinstance(value, Opaque):
            return value
        if name.startswith("__"):
            raise NotKnownError(f"the attribute {name!r} is Python's own machinery")
        if isinstance(value, DottedName):
            return DottedName(f"{value}.{name}")
        if isinstance(value, Module):
            return self.member(value.name, name)
        if isinstance(value, ConfigDict) and value.by_attribute and not hasattr(dict, name):
            if name in value:
                return value[name]
            if name not in ("merge", "to_dict", "deepcopy"):
                raise AttributeError(f"'ConfigDict' object has no attribute {name!r}")
        if isinstance(value, (*SCALARS, dict, list, tuple, set)):
            if not any(isinstance(value, kind) and hasattr(kind, name) for kind in _WITH_METHODS) and not (
                isinstance(value, ConfigDict) and value.by_attribute
            ):
                raise AttributeError(f"{python_name(value)!r} object has no attribute {name!r}")
            return Method(value, name)
        raise NotKnownError(f"the attribute {name!r} of a value that is not known")

    # Calls

    def _call(self, node: ast.Call) -> Any:
        function_node = node.func
        if (
            isinstance(function_node, ast.Name)
            and function_node.id == "dict"
            and not node.args
            and not self.scopes
            and "dict" not in self.variables
        ):
            return self._keywords(node.keywords)
        function = self.evaluate(function_node)
        positional: list[Any] = []
        nodes: list[ast.expr] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                more = items_of(self.known(self.evaluate(argument.value)), self)[0]
                positional += more
                nodes += [argument] * len(more)
            else:
                positional.append(self.evaluate(argument))
                nodes.append(argument)
        keywords = self._keywords(node.keywords)
        if isinstance(function, Opaque):
            return function
        outer, self._argument_nodes = self._argument_nodes, nodes
        try:
            return self.call(function, positional, keywords)
        finally:
            self._argument_nodes = outer

    def _keywords(self, nodes: list[ast.keyword]) -> ConfigDict:
        made = ConfigDict()
        origins = made.origins
        source, evaluate = self.source, self.evaluate
        for keyword in nodes:
            value_node = keyword.value
            value = evaluate(value_node)
            name = keyword.arg
            if name is None:
                self._fill(made, value, value_node)
            else:
                made[name] = value
                origins[name] = Origin(source, key_position(keyword), position_of(value_node))
        return made

    def _lambda(self, node: ast.Lambda) -> LocalFunction:
        return self.function("<lambda>", node.args, node.body)

    # Comprehensions

    def _list_comprehension(self, node: ast.ListComp) -> ConfigList:
        made = ConfigList()
        for _ in self._bindings(node.generators):
            made.append(self.evaluate(node.elt))
            made.origins.append(Origin(self.source, None, position_of(node.elt)))
        return made

    def _generator(self, node: ast.GeneratorExp) -> Iterated:
        return Iterated([self.evaluate(node.elt) for _ in self._bindings(node.generators)])

    def _set_comprehension(self, node: ast.SetComp) -> set[Any]:
        return {key_of(self.known(self.evaluate(node.elt)), self) for _ in self._bindings(node.generators)}

    def _dict_comprehension(self, node: ast.DictComp) -> ConfigDict:
        made = ConfigDict()
        for _ in self._bindings(node.generators):
            key = key_of(self.known(self.evaluate(node.key)), self)
            made.put(
                key, self.evaluate(node.value), Origin(self.source, position_of(node.key), position_of(node.value))
            )
        return made

    def _bindings(self, generators: list[ast.comprehension]) -> Iterator[None]:
        """Bind the names of a comprehension, once for each of its items."""
        outer = self.scopes
        scope: Scope = {}
        try:
            yield from self._bind_each(generators, scope, (*outer, scope))
        finally:
            self.scopes = outer

    def _bind_each(self, generators: list[ast.comprehension], scope: Scope, inner: tuple[Scope, ...]) -> Iterator[None]:
        generator, *rest = generators
        items, origins = items_of(self.known(self.evaluate(generator.iter)), self)
        self.scopes = inner
        for item, origin in zip(items, origins, strict=True):
            self.budget.spend(1)
            self.assign(generator.target, item, origin, generator.iter)
            if all(self.truth(self.evaluate(test)) for test in generator.ifs):
                if rest:
                    yield from self._bind_each(rest, scope, inner)
                else:
                    yield


_EVALUATORS: dict[type[ast.AST], Callable[[Expressions, Any], Any]] = {
    ast.Attribute: Expressions._attribute,
    ast.BinOp: Expressions._binary,
    ast.BoolOp: Expressions._boolean,
    ast.Call: Expressions._call,
    ast.Compare: Expressions._compare,
    ast.Constant: Expressions._constant,
    ast.Dict: Expressions._dict,
    ast.DictComp: Expressions._dict_comprehension,
    ast.GeneratorExp: Expressions._generator,
    ast.IfExp: Expressions._conditional,
    ast.JoinedStr: Expressions._joined,
    ast.Lambda: Expressions._lambda,
    ast.List: Expressions._list,
    ast.ListComp: Expressions._list_comprehension,
    ast.Name: Expressions._name,
    ast.NamedExpr: Expressions._walrus,
    ast.Set: Expressions._set,
    ast.SetComp: Expressions._set_comprehension,
    ast.Subscript: Expressions._subscript,
    ast.Tuple: Expressions._tuple,
    ast.UnaryOp: Expressions._unary,
}
_WITH_METHODS: tuple[type, ...] = (str, float, bool, int, dict, list, tuple, set, frozenset, type(None))
_PYTHON_NAMES_LISTED = """
    ascii bin breakpoint bytearray bytes classmethod compile complex delattr dir eval exec exit getattr globals
    hasattr hash help hex id input issubclass iter locals memoryview next object oct open pow property quit setattr
    slice staticmethod super type vars __import__ __builtins__ Ellipsis NotImplemented Exception ValueError
    TypeError KeyError RuntimeError ImportError AttributeError IndexError NotImplementedError AssertionError
    FileNotFoundError OSError StopIteration ModuleNotFoundError
"""
_PYTHON_NAMES = frozenset(_PYTHON_NAMES_LISTED.split())
"""Names of Python that are defined, and that no config needs to be read."""
