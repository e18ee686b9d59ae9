"""Evaluate the expressions of an excerpt: three-valued, since what a config does not say is not known."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from provecfg.registry.classes import ClassInfo, ClassRecord
from provecfg.registry.preconditions.natives import BUILTINS, items_of
from provecfg.registry.preconditions.nodes import dotted_name, look_up, shown, slice_parts
from provecfg.registry.preconditions.operators import binary, compared, unary
from provecfg.registry.preconditions.outcomes import LimitError, Refusal, RefusedError
from provecfg.registry.preconditions.values import (
    PLAIN,
    UNKNOWN,
    ConfigDict,
    Instance,
    Name,
    is_known,
    literal,
    truth,
)

MOST_STEPS: Final = 12_000
"""Statements and loops' turns of one class; the largest constructor of the release takes some 300."""
_LONGEST_TEXT: Final = 200

Sources = dict[str, frozenset[str]]
"""Which arguments of the config's dict a local name's value was made of."""

_PYTHONS: Final = (ArithmeticError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What an operation on plain values raises."""


@dataclass(slots=True)
class Frame:
    """One call.

    Args:
        owner: The class or function.
        position: Its position in the class's resolution order; -1 of a function.
        names: Local variables.
        sources: What they were made of.
    """

    owner: ClassRecord
    position: int
    names: dict[str, Any]
    sources: Sources = field(default_factory=dict)


class Evaluation(ABC):
    """Expressions of an excerpt, evaluated with what is known of a config.

    Args:
        info: The class whose constructor is followed, or the function.
        traces: Whether it is kept of which arguments values are made.
    """

    def __init__(self, info: ClassInfo, traces: bool) -> None:
        self.info = info
        self.traces = traces
        self.self = Instance()
        self.self_sources: Sources = {}
        self.steps = 0
        self.depth = 0
        self.is_in_use = False
        self.hides_attributes = False

    # Expressions

    def value(self, frame: Frame, node: ast.expr) -> Any:
        return _EXPRESSIONS[type(node)](self, frame, node)

    def condition(self, frame: Frame, node: ast.expr) -> bool | None:
        """Whether a condition holds; None where that is not known."""
        if isinstance(node, ast.BoolOp):
            stops_at = isinstance(node.op, ast.Or)
            is_open = False
            for operand in node.values:
                # what stands after an operand that is not known may not be evaluated
                verdict = self._guarded(frame, operand) if is_open else self.condition(frame, operand)
                if verdict is stops_at:
                    return stops_at
                is_open |= verdict is None
            return None if is_open else not stops_at
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            verdict = self.condition(frame, node.operand)
            return None if verdict is None else not verdict
        return truth(self.value(frame, node))

    def _guarded(self, frame: Frame, node: ast.expr) -> bool | None:
        try:
            return self.condition(frame, node)
        except RefusedError:
            return None

    def _constant(self, frame: Frame, node: ast.Constant) -> Any:
        return UNKNOWN if node.value is ... else node.value

    def _name(self, frame: Frame, node: ast.Name) -> Any:
        if node.id in frame.names:
            return frame.names[node.id]
        if node.id == "self" and frame.position >= 0:
            return self.self
        return Name(node.id) if node.id in BUILTINS else UNKNOWN

    def _attribute(self, frame: Frame, node: ast.Attribute) -> Any:
        dotted = dotted_name(node)
        if dotted is not None:
            return Name(dotted)
        owner = self.value(frame, node.value)
        if owner is self.self:
            return self._own_attribute(node.attr)
        if isinstance(owner, dict):
            if node.attr in owner:
                return owner[node.attr]  # as mmengine's own dict has it
            if isinstance(owner, ConfigDict) and UNKNOWN not in owner and not hasattr(owner, node.attr):
                with self._refusing(frame, node):
                    raise AttributeError(f"'ConfigDict' object has no attribute {node.attr!r}")
            return UNKNOWN
        if isinstance(owner, Name):
            return self._class_attribute(self._info_of(owner.dotted), node.attr)
        if isinstance(owner, PLAIN):
            with self._refusing(frame, node):
                getattr(owner, node.attr)
        return UNKNOWN

    def _info_of(self, dotted: str) -> ClassInfo | None:
        record = self.info.records(dotted)
        if record is None or record.bases is None:
            return None
        return replace(self.info, type_name=record.name, registry="", record=record, _fates={})

    def _own_attribute(self, name: str) -> Any:
        if name in self.self.attributes:
            return self.self.attributes[name]
        return UNKNOWN if self.hides_attributes else self._class_attribute(self.info, name)

    def _class_attribute(self, info: ClassInfo | None, name: str) -> Any:
        for record in info.ancestors if info is not None else ():
            if record is None or record.may_hide(name):
                return UNKNOWN
            if name in record.constants:
                return literal(record.constants[name])
        return UNKNOWN

    def _subscript(self, frame: Frame, node: ast.Subscript) -> Any:
        owner = self.value(frame, node.value)
        if isinstance(node.slice, ast.Slice):
            parts = [None if part is None else self.value(frame, part) for part in slice_parts(node.slice)]
            if not isinstance(owner, PLAIN) or not all(map(is_known, parts)):
                return UNKNOWN
            key: Any = slice(*parts)
        else:
            key = self.value(frame, node.slice)
            if not isinstance(owner, PLAIN) or not is_known(key):
                return UNKNOWN
        with self._refusing(frame, node):
            if isinstance(owner, dict) and UNKNOWN in owner:
                return owner.get(key, UNKNOWN)
            if isinstance(owner, (set, frozenset, int, float)) or owner is None:
                raise TypeError(f"{type(owner).__name__!r} object is not subscriptable")
            return owner[key]

    def _tuple(self, frame: Frame, node: ast.Tuple) -> Any:
        items = self._items(frame, node.elts)
        return UNKNOWN if items is None else tuple(items)

    def _list(self, frame: Frame, node: ast.List) -> Any:
        items = self._items(frame, node.elts)
        return UNKNOWN if items is None else items

    def _set_(self, frame: Frame, node: ast.Set) -> Any:
        items = self._items(frame, node.elts)
        with self._refusing(frame, node):
            return UNKNOWN if items is None or not all(map(is_known, items)) else set(items)

    def _items(self, frame: Frame, nodes: list[ast.expr]) -> list[Any] | None:
        """The items of a display or a call, starred ones spread; None where one of these is not known."""
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                with self._refusing(frame, node.value):
                    inner = items_of(self.value(frame, node.value))
                if inner is None:
                    return None
                items += inner
            else:
                items.append(self.value(frame, node))
        return items

    def _dict(self, frame: Frame, node: ast.Dict) -> Any:
        made: dict[Any, Any] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.value(frame, value_node)
            if key_node is None:
                if not isinstance(value, dict):
                    return UNKNOWN
                made |= value
                continue
            key = self.value(frame, key_node)
            if not is_known(key):
                return UNKNOWN
            with self._refusing(frame, node):
                made[key] = value
        return made

    def _compare(self, frame: Frame, node: ast.Compare) -> Any:
        left = self.value(frame, node.left)
        is_open = False
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(frame, right_node)
            with self._refusing(frame, node):
                verdict = compared(op, left, right)
            if verdict is False:
                return False
            is_open |= verdict is not True
            left = right
        return UNKNOWN if is_open else True

    def _boolop(self, frame: Frame, node: ast.BoolOp) -> Any:
        stops_at = isinstance(node.op, ast.Or)
        value: Any = UNKNOWN
        for operand in node.values:
            value = self.value(frame, operand)
            verdict = truth(value)
            if verdict is None:
                return UNKNOWN  # what follows may be certain to count as true, and is not certain to be the value
            if verdict is stops_at:
                return value
        return value

    def _unaryop(self, frame: Frame, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            verdict = self.condition(frame, node.operand)
            return UNKNOWN if verdict is None else not verdict
        value = self.value(frame, node.operand)
        if not is_known(value):
            return UNKNOWN
        with self._refusing(frame, node):
            return unary(node.op, value)

    def _binop(self, frame: Frame, node: ast.BinOp) -> Any:
        left, right = self.value(frame, node.left), self.value(frame, node.right)
        with self._refusing(frame, node):
            return binary(node.op, left, right)

    def _ifexp(self, frame: Frame, node: ast.IfExp) -> Any:
        verdict = self.condition(frame, node.test)
        if verdict is None:
            return UNKNOWN
        return self.value(frame, node.body if verdict else node.orelse)

    def _not_known(self, frame: Frame, node: ast.expr) -> Any:
        return UNKNOWN

    def _comprehension(self, frame: Frame, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Any:
        outer = dict(frame.names), dict(frame.sources)
        made: list[Any] = []
        try:
            is_settled = self._turns(frame, node, 0, made)
        finally:
            frame.names, frame.sources = outer
        if not is_settled:
            return UNKNOWN
        with self._refusing(frame, node):
            if isinstance(node, ast.DictComp):
                return dict(made) if all(is_known(key) for key, _ in made) else UNKNOWN
            if isinstance(node, ast.SetComp):
                return set(made) if all(map(is_known, made)) else UNKNOWN
        return made

    def _turns(
        self,
        frame: Frame,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        depth: int,
        made: list[Any],
    ) -> bool:
        if depth == len(node.generators):
            if isinstance(node, ast.DictComp):
                made.append((self.value(frame, node.key), self.value(frame, node.value)))
            else:
                made.append(self.value(frame, node.elt))
            return True
        part = node.generators[depth]
        with self._refusing(frame, part.iter):
            items = items_of(self.value(frame, part.iter))
        if items is None:
            return False
        for item in items:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise LimitError
            self._set(frame, part.target, item, part.iter)
            verdicts = [self.condition(frame, test) for test in part.ifs]
            if None in verdicts:
                return False
            if False not in verdicts and not self._turns(frame, node, depth + 1, made):
                return False
        return True

    def _call(self, frame: Frame, node: ast.Call) -> Any:
        return self.call(frame, node)

    @abstractmethod
    def call(self, frame: Frame, node: ast.Call) -> Any:
        """What a call gives. Its body is made of statements, which are not this class's."""

    # What a value was made of

    def _set(self, frame: Frame, target: ast.expr, value: Any, source: ast.expr) -> None:
        if isinstance(target, ast.Name):
            frame.names[target.id] = value
            if self.traces:
                frame.sources[target.id] = self._sources(frame, source)
        elif isinstance(target, ast.Attribute):
            self.self.attributes[target.attr] = value
            if self.traces:
                self.self_sources[target.attr] = self._sources(frame, source)
        elif isinstance(target, (ast.Tuple, ast.List)):
            with self._refusing(frame, source):
                items = items_of(value)
                if items is not None and len(items) != len(target.elts):
                    many = "too many" if len(items) > len(target.elts) else "not enough"
                    raise ValueError(f"{many} values to unpack (expected {len(target.elts)}, got {len(items)})")
            for number, inner in enumerate(target.elts):
                self._set(frame, inner, UNKNOWN if items is None else items[number], source)
        elif isinstance(target, ast.Subscript):
            owner, key = self.value(frame, target.value), self.value(frame, target.slice)
            if isinstance(owner, (list, dict)):
                with self._refusing(frame, target):
                    if not is_known(key):
                        forget_items(owner)
                    else:
                        owner[key] = value

    def _sources(self, frame: Frame, node: ast.AST) -> frozenset[str]:
        """The arguments, or paths into them, that an expression's value is made of."""
        if isinstance(node, ast.Name):
            return frame.sources.get(node.id, frozenset())
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self.self_sources.get(node.attr, frozenset())
            return self._sources(frame, node.value)
        step = look_up(node)
        if step is not None:
            return frozenset(f"{source}{step[1]}" for source in self._sources(frame, step[0]))
        return frozenset().union(*(self._sources(frame, inner) for inner in ast.iter_child_nodes(node)))

    # Refusing

    def _refusing(self, frame: Frame, node: ast.AST) -> _Refusing:
        """What Python raises inside is a refusal of the node's."""
        return _Refusing(self, frame, node)

    def _refused(self, frame: Frame, error: str, words: str, node: ast.AST | None) -> RefusedError:
        condition = "" if node is None else shown(node)
        keys = () if node is None else tuple(sorted(self._sources(frame, node)))
        words = " ".join(words.split()).removeprefix(f"{error}: ") or condition
        if len(words) > _LONGEST_TEXT:
            words = f"{words[:_LONGEST_TEXT]}..."
        return RefusedError(Refusal(error, words, frame.owner.dotted, keys, condition))

    def _words(self, frame: Frame, node: ast.expr) -> str:
        """The text of a message, `...` for what is not known of it."""
        if isinstance(node, ast.JoinedStr):
            return "".join(self._words(frame, value) for value in node.values)
        if isinstance(node, ast.FormattedValue):
            return self._words(frame, node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._words(frame, node.left) + self._words(frame, node.right)
        try:
            value = self.value(frame, node)
        except RefusedError:
            return "..."
        if isinstance(value, Name):
            return value.dotted
        return value if isinstance(value, str) else repr(value) if is_known(value) else "..."


class _Refusing:
    """A context in which what Python raises is a refusal; a class, since it is entered for every expression."""

    __slots__ = ("frame", "node", "run")

    def __init__(self, run: Evaluation, frame: Frame, node: ast.AST) -> None:
        self.run, self.frame, self.node = run, frame, node

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _PYTHONS) and not isinstance(error, RecursionError):  # a deep config is no fault of its
            words = str(error.args[0]) if error.args else ""
            refused = self.run._refused(self.frame, type(error).__name__, words, self.node)
            refused.refusal = refused.refusal._replace(is_missing=isinstance(error, KeyError))
            raise refused from error


def forget_items(owner: list[Any] | dict[Any, Any]) -> None:
    if isinstance(owner, list):
        owner[:] = [UNKNOWN] * len(owner)
    else:
        owner.clear()
        owner[UNKNOWN] = UNKNOWN


_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[Evaluation, Frame, Any], Any]]] = {
    ast.Attribute: Evaluation._attribute,
    ast.BinOp: Evaluation._binop,
    ast.BoolOp: Evaluation._boolop,
    ast.Call: Evaluation._call,
    ast.Compare: Evaluation._compare,
    ast.Constant: Evaluation._constant,
    ast.Dict: Evaluation._dict,
    ast.DictComp: Evaluation._comprehension,
    ast.GeneratorExp: Evaluation._comprehension,
    ast.IfExp: Evaluation._ifexp,
    ast.JoinedStr: Evaluation._not_known,
    ast.List: Evaluation._list,
    ast.ListComp: Evaluation._comprehension,
    ast.Name: Evaluation._name,
    ast.Set: Evaluation._set_,
    ast.Slice: Evaluation._not_known,
    ast.SetComp: Evaluation._comprehension,
    ast.Subscript: Evaluation._subscript,
    ast.Tuple: Evaluation._tuple,
    ast.UnaryOp: Evaluation._unaryop,
}
