"""Expressions of a config, from syntax tree to values. Nothing is executed: only operations known here are done.

An expression that would raise is a problem, said once; one that cannot be known is an `Opaque` with a note. Either
way the reading goes on, so that the rest of the config can be judged.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from provecfg.mmconfig.assignment import IN_DOUBT
from provecfg.mmconfig.budget import MAX_BITS, LimitError
from provecfg.mmconfig.calls import Calls
from provecfg.mmconfig.effects import changed_names, loaded_names, size_of_syntax
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
    LocalScope,
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
            value = evaluator(self, node)
            return Opaque(IN_DOUBT) if self.doubtful and id(value) in self.doubtful else value
        except NotKnownError as unknown:
            self.forget(node, unknown.reason)
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
            if isinstance(scope, LocalScope) and name in scope.names:
                self.report(UNDEFINED_NAME, f"name {name!r} is used before its function binds it", position_of(node))
                return Opaque(f"the name {name!r} is not bound yet")
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
        if self.binds_any:
            raise NotKnownError("the names that exec or an import of all binds")
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
            items.append(self.kept(evaluate(node)))
            origins.append(Origin(source, None, position_of(node)))
        return items, origins

    def _set(self, node: ast.Set) -> set[Any]:
        return {key_of(item, self) for item in self._elements(node.elts)[0]}

    def _dict(self, node: ast.Dict) -> ConfigDict:
        made = ConfigDict()
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            if key_node is None:
                self._fill(made, self.evaluate(value_node))
                continue
            key = self.evaluate(key_node)
            value = self.kept(self.evaluate(value_node))
            origin = Origin(self.source, position_of(key_node), position_of(value_node))
            made.put(key_of(self.known(key), self), value, origin)
        return made

    def _fill(self, target: ConfigDict, value: Any) -> None:
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
        for index, operand in enumerate(node.values):
            value = self.evaluate(operand)
            if isinstance(value, Opaque):
                self._forget_all(node.values[index + 1 :], value.reason)
                return value
            if bool(value) == stops_at:
                return value
        return value

    def _compare(self, node: ast.Compare) -> Any:
        left = self.evaluate(node.left)
        for index, (op, right_node) in enumerate(zip(node.ops, node.comparators, strict=True)):
            right = self.evaluate(right_node)
            if isinstance(left, Opaque) or isinstance(right, Opaque):
                unknown: Opaque = left if isinstance(left, Opaque) else right
                self._forget_all(node.comparators[index + 1 :], unknown.reason)
                return unknown
            if not compare(op, left, right, self.budget):
                return False
            left = right
        return True

    def _conditional(self, node: ast.IfExp) -> Any:
        test = self.evaluate(node.test)
        if isinstance(test, Opaque):
            self._forget_all([node.body, node.orelse], test.reason)
            return test
        return self.evaluate(node.body if test else node.orelse)

    def _forget_all(self, nodes: list[ast.expr], reason: str) -> None:
        """Note that it is not known whether these are evaluated."""
        for node in nodes:
            self.forget(node, reason)

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
            attributes = [
                getattr(kind, name) for kind in _WITH_METHODS if isinstance(value, kind) and hasattr(kind, name)
            ]
            if not attributes and not (isinstance(value, ConfigDict) and value.by_attribute):
                raise AttributeError(f"{python_name(value)!r} object has no attribute {name!r}")
            if not all(map(callable, attributes)):
                raise NotKnownError(f"the attribute {name!r}")  # such as the real part of a number
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
            self.forget(node, function.reason)
            return function
        outer, self._argument_nodes = self._argument_nodes, nodes
        try:
            return self.call(function, positional, keywords)
        finally:
            self._argument_nodes = outer

    def _keywords(self, nodes: list[ast.keyword]) -> ConfigDict:
        made = ConfigDict()
        origins = made.origins
        source, evaluate, kept = self.source, self.evaluate, self.kept
        for keyword in nodes:
            value_node = keyword.value
            value = kept(evaluate(value_node))
            name = keyword.arg
            if name is None:
                if isinstance(value, dict):
                    _check_keywords(value, made)
                self._fill(made, value)
            elif name in made:
                raise TypeError(f"got multiple values for keyword argument {name!r}")
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
        self.budget.spend(size_of_syntax(node))
        if changed_names(node):
            raise NotKnownError("an iterator that changes something")
        sources = [self.lookup(name) for name in loaded_names(node)]
        self.budget.spend(sum(len(source) for source in sources if isinstance(source, (dict, list, set))))
        return Iterated([self.evaluate(node.elt) for _ in self._bindings(node.generators, sources)], sources=sources)

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

    def _bindings(self, generators: list[ast.comprehension], sources: list[Any] | None = None) -> Iterator[None]:
        """Bind the names of a comprehension, once for each of its items; `sources` gets what they are taken from."""
        outer = self.scopes
        scope: Scope = {}
        try:
            yield from self._bind_each(generators, scope, (*outer, scope), [] if sources is None else sources)
        finally:
            self.scopes = outer

    def _bind_each(
        self, generators: list[ast.comprehension], scope: Scope, inner: tuple[Scope, ...], sources: list[Any]
    ) -> Iterator[None]:
        generator, *rest = generators
        iterable = self.known(self.evaluate(generator.iter))
        sources.append(iterable)
        self.scopes = inner
        for item, origin in self.items_one_by_one(iterable):
            self.budget.spend(1)
            self.assign(generator.target, item, origin, generator.iter)
            if all(self.truth(self.evaluate(test)) for test in generator.ifs):
                if rest:
                    yield from self._bind_each(rest, scope, inner, sources)
                else:
                    yield

    def items_one_by_one(self, value: Any) -> Iterator[tuple[Any, Origin | None]]:
        """The items of a value that may change meanwhile, with their origins."""
        if isinstance(value, ConfigList) and not isinstance(value, Iterated):
            index = 0
            while index < len(value):
                self.budget.spend(1)
                yield value[index], value.origins[index]
                index += 1
                if id(value) in self.doubtful:
                    raise NotKnownError("an iterator over what may have changed meanwhile")
            return
        size = len(value) if isinstance(value, (dict, set)) else None
        iterator = value if isinstance(value, Iterated) else Iterated(sources=[value])
        for item, origin in zip(*items_of(value, self), strict=True):
            yield item, origin
            if size is not None and len(value) != size:
                raise RuntimeError(f"{python_name(value)} changed size during iteration")
        if not iterator.is_current(self.doubtful):
            raise NotKnownError("an iterator over what changed meanwhile")


def _check_keywords(more: dict[Any, Any], keywords: ConfigDict) -> None:
    """Check what `**more` adds to the keywords of a call."""
    for name in more:
        if not isinstance(name, str):
            raise TypeError("keywords must be strings")
        if name in keywords:
            raise TypeError(f"got multiple values for keyword argument {name!r}")


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
