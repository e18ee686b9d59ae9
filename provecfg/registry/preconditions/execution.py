"""Follow the excerpt of a constructor with a config's values, and say what it is certain to refuse."""

from __future__ import annotations

import ast
import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from provecfg.registry.builders import ALWAYS_TAKEN, FILLED_IN, SUPPLIED, SUPPLIED_TO, TAKEN
from provecfg.registry.classes import ClassInfo, ClassRecord, Fate
from provecfg.registry.preconditions.excerpt import GLOBAL
from provecfg.registry.preconditions.natives import (
    BUILTINS,
    FUNCTIONS,
    PRECONDITIONS,
    REGISTRY,
    call_method,
    items_of,
)
from provecfg.registry.preconditions.values import (
    MOST_ITEMS,
    PLAIN,
    UNKNOWN,
    ConfigDict,
    Instance,
    Name,
    Uncertain,
    UndecidedError,
    is_known,
    literal,
    plain,
    truth,
)
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Kind, Parameter

_MOST_STEPS: Final = 12_000
"""Statements and loops' turns of one class; the largest constructor of the release takes some 300."""
_DEEPEST: Final = 25
"""Calls, one in another."""
_LARGEST_INT: Final = 10**12
_LONGEST_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a constructor refuses.

    Args:
        error: The exception's name (`AssertionError`).
        words: Its message, or the condition that did not hold.
        owner: The class or function whose source says so.
        keys: The arguments that the condition is about, those first that it names itself.
        condition: The source of the condition.
        is_missing: Whether a key is looked up that is not there.
    """

    error: str
    words: str
    owner: str
    keys: tuple[str, ...]
    condition: str
    is_missing: bool = False


def refusal(info: ClassInfo, values: Mapping[Any, Any], *, is_whole: bool = True) -> Refusal | None:
    """What a class is certain to refuse when it is built from a config's dict and first used, or None.

    Args:
        info: The class.
        values: The dict, `type` and all.
        is_whole: Whether it is built from the dict alone, so that what the dict does not say is the class's default.
    """
    if not has_excerpt(info) or values.get("convert_to_iter_based"):
        return None
    keywords = _keywords_of(info, values, is_whole)
    return _certain(info, lambda run: run.build(keywords()))


def refusal_by_method(info: ClassInfo, method: str, values: Mapping[str, Any]) -> Refusal | None:
    """What a method is certain to refuse when it is called on an object of which nothing is known, or None.

    Args:
        info: The object's class.
        method: The method's name.
        values: Its arguments; a config's values.
    """

    def call(run: _Run) -> None:
        budget = [MOST_ITEMS]
        keywords = {name: plain(value, budget, of_config=True) for name, value in values.items()}
        run.call_own(method, [], keywords, {name: frozenset({name}) for name in keywords})

    return _certain(info, call)


def has_excerpt(info: ClassInfo) -> bool:
    """Whether anything is known that the class refuses."""
    return any(record is not None and record.excerpts for record in info.ancestors)


LATER: Final[dict[str, tuple[str, ...]]] = {
    "transform": ("transform",),
    "model": ("forward",),
    "metric": ("process", "compute_metrics"),
    "data sampler": ("__iter__",),
    "hook": (
        *("before_run", "before_train", "before_train_epoch", "before_train_iter"),
        *("after_train_iter", "after_train_epoch", "after_train", "after_run"),
    ),
}
"""Methods that are called of every object that a registry's classes make, by the registry."""


IN_TRAINING: Final = {"training": True, "mode": "loss"}
"""What these methods are called with in training, by the parameter's name; nothing else is known.

Source: mmengine 0.10.7, model/base_model/base_model.py, `train_step`.
"""


def _keywords_of(info: ClassInfo, values: Mapping[Any, Any], is_whole: bool) -> Callable[[], dict[str, Any]]:
    """Makes the arguments that the class gets: new ones each time, since it may change them."""
    taken = ALWAYS_TAKEN | TAKEN.get(info.registry, frozenset())
    kept = {
        key: value
        for key, value in values.items()
        if isinstance(key, str) and key not in taken and info.fate(key, values) is not Fate.REFUSED
    }
    supplied = SUPPLIED.get(info.registry, frozenset())
    for name, arguments in SUPPLIED_TO.items():
        supplied |= arguments if info.is_a(name) else frozenset()
    if not is_whole:
        supplied |= info.parameters.keys() - kept.keys()

    def keywords() -> dict[str, Any]:
        budget = [MOST_ITEMS]
        made = {key: plain(value, budget, of_config=True) for key, value in kept.items()}
        left = supplied - (FILLED_IN & made.keys())
        return made | {key: UNKNOWN for key in left if key in info.parameters or key in made}

    return keywords


def _certain(info: ClassInfo, act: Callable[[_Run], None]) -> Refusal | None:
    """The refusal that something ends in; it is done again to see of which arguments that speaks."""
    certain = None
    for traces in (False, True):
        try:
            act(_Run(info, traces))
        except _RefusedError as refused:
            certain = refused.refusal
        except (UndecidedError, _LimitError, RecursionError):
            return None
        else:
            return None
    return certain


class _LimitError(Exception):
    """More steps than a constructor takes."""


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


class _ReturnError(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _BreakError(Exception):
    pass


class _ContinueError(Exception):
    pass


Sources = dict[str, frozenset[str]]
"""Which arguments of the config's dict a local name's value was made of."""


@dataclass(slots=True)
class _Frame:
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


_MADE: Final[set[str]] = set()
"""Classes with what they were given and did not refuse; most models are made of many equal parts."""
_MOST_MADE: Final = 20_000

_PYTHONS: Final = (ArithmeticError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What an operation on plain values raises."""


class _Refusing:
    """A context in which what Python raises is a refusal; a class, since it is entered for every expression."""

    __slots__ = ("frame", "node", "run")

    def __init__(self, run: _Run, frame: _Frame, node: ast.AST) -> None:
        self.run, self.frame, self.node = run, frame, node

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _PYTHONS) and not isinstance(error, RecursionError):  # a deep config is no fault of its
            words = str(error.args[0]) if error.args else ""
            refused = self.run._refused(self.frame, type(error).__name__, words, self.node)
            refused.refusal = replace(refused.refusal, is_missing=isinstance(error, KeyError))
            raise refused from error


class _Run:
    def __init__(self, info: ClassInfo, traces: bool) -> None:
        self.info = info
        self.traces = traces
        self.self = Instance()
        self.self_sources: Sources = {}
        self.steps = 0
        self.depth = 0
        self.is_in_use = False
        self.hides_attributes = False

    # Calls

    def build(self, keywords: dict[str, Any]) -> None:
        """Make the object, or call the function, and use it as it will be used."""
        sources = {key: frozenset({key}) for key in keywords}
        if self.info.record.bases is None:
            self.call_function(self.info.record, [], keywords, sources)
            return
        self.construct(0, [], keywords, sources)
        self.is_in_use = True
        for method in LATER.get(self.info.registry, ()):
            if any(record is not None and method in record.excerpts for record in self.info.ancestors):
                self._use(method)

    def _use(self, method: str) -> None:
        """Call a method as training does; one that says it is not meant to be called is not."""
        try:
            self.call_own(method, None, {}, {})
        except _RefusedError as refused:
            if refused.refusal.error != "NotImplementedError" or refused.refusal.condition:
                raise

    def construct(
        self,
        start: int,
        positional: list[Any],
        keywords: dict[str, Any],
        sources: Sources,
        *,
        refuses_names: bool = False,
    ) -> None:
        """Run the first constructor at or after a position in the resolution order.

        Args:
            start: The position.
            positional: What the call gives by position.
            keywords: And by name.
            sources: What these were made of.
            refuses_names: Whether a name that it does not take is refused here.
        """
        ancestors = self.info.ancestors
        for position in range(start, len(ancestors)):
            record = ancestors[position]
            if record is None:
                self.self_is_unknown()
                return
            if record.parameters is None:
                continue
            if refuses_names and record.flow is None:
                self._check_names(record, keywords, sources)
            body = record.body("__init__")
            if body is None:
                self.hides_attributes |= record.may_hide("__init__")
                return
            names = _bound(record.parameters, positional, keywords)
            if names is None:
                return
            frame = _Frame(record, position, names, self._handed(record.parameters, positional, sources))
            for name, precondition in PRECONDITIONS.get(record.dotted, {}).items():
                with self._refusing(frame, ast.Name(name, ast.Load())):
                    precondition(name, names.get(name, UNKNOWN))
            self._run(frame, body)
            return

    def _check_names(self, record: ClassRecord, keywords: dict[str, Any], sources: Sources) -> None:
        """Refuse a keyword argument that a constructor does not take."""
        known = [parameter.name for parameter in record.parameters or () if parameter.by_keyword]
        for name in keywords:
            if name not in known and not isinstance(keywords[name], Uncertain):
                words = f"{record.name} got an unexpected keyword argument {name!r}"
                raise _RefusedError(
                    Refusal("TypeError", words, record.dotted, tuple(sorted(sources.get(name, ()))), "")
                )

    def call_function(
        self, record: ClassRecord, positional: list[Any], keywords: dict[str, Any], sources: Sources
    ) -> Any:
        body = record.body(record.name)
        names = None if body is None or record.parameters is None else _bound(record.parameters, positional, keywords)
        if body is None or names is None or record.parameters is None:
            return UNKNOWN
        return self._run(_Frame(record, -1, names, self._handed(record.parameters, positional, sources)), body)

    def make(
        self, frame: _Frame, node: ast.Call, record: ClassRecord, positional: list[Any], keywords: dict[str, Any]
    ) -> Instance:
        """Make an object of another class."""
        key = "" if self.traces else f"{record.dotted} {positional!r} {keywords!r}"
        if key in _MADE and key:
            return Instance()
        info = self._info_of(record.dotted)
        if info is None:
            return Instance()
        inner = _Run(info, self.traces)
        inner.steps, inner.depth = self.steps, self.depth
        with contextlib.suppress(UndecidedError):
            inner.construct(0, positional, keywords, self._call_sources(frame, node), refuses_names=True)
        self.steps = inner.steps
        if key and len(_MADE) < _MOST_MADE:
            _MADE.add(key)
        return Instance()

    def call_own(self, name: str, positional: list[Any] | None, keywords: dict[str, Any], sources: Sources) -> Any:
        """Call a method of the object that is made; with values that are not known where `positional` is None."""
        for position, record in enumerate(self.info.ancestors):
            if record is None or record.may_hide(name):
                break
            if name in record.excerpts:
                method = record.method(name)
                if method is None:
                    break
                parameters, body = method
                if positional is None:
                    taken = [parameter.name for parameter in parameters if parameter.by_keyword]
                    positional, keywords = [], {key: IN_TRAINING.get(key, UNKNOWN) for key in taken}
                names = _bound(parameters, positional, keywords)
                if names is None:
                    break
                return self._run(_Frame(record, position, names, self._handed(parameters, positional, sources)), body)
        self.self_is_unknown()
        return UNKNOWN

    def self_is_unknown(self) -> None:
        """Something that cannot be followed may have set any attribute."""
        self.self.attributes = dict.fromkeys(self.self.attributes, UNKNOWN)

    def _handed(self, parameters: tuple[Parameter, ...], positional: list[Any], sources: Sources) -> Sources:
        """The sources of a call's parameters; of those given by position, under their number."""
        if not self.traces:
            return {}
        handed: Sources = {}
        number = 0
        for parameter in parameters:
            if parameter.kind in (Kind.POSITIONAL_ONLY, Kind.POSITIONAL_OR_KEYWORD) and number < len(positional):
                handed[parameter.name] = sources.get(str(number), frozenset())
                number += 1
                continue
            if parameter.kind is Kind.VAR_KEYWORD:
                names_taken = {taken.name for taken in parameters}
                rest = [names for key, names in sources.items() if key not in names_taken and not key.isdigit()]
                handed[parameter.name] = frozenset().union(*rest)
                handed |= {f"{parameter.name}.{key}": names for key, names in sources.items() if key not in names_taken}
            else:
                handed[parameter.name] = sources.get(parameter.name, frozenset())
        return handed

    def _run(self, frame: _Frame, body: list[ast.stmt]) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _LimitError
        try:
            self.block(frame, body)
        except _ReturnError as returned:
            return returned.value
        except UndecidedError:
            # the rest may have run or not: what it sets is not known
            self._forget_all(frame, body)
            return UNKNOWN
        finally:
            self.depth -= 1
        return None

    def _forget_all(self, frame: _Frame, body: list[ast.stmt]) -> None:
        for name in _targets(body)[1]:
            self.self.attributes[name] = UNKNOWN
        if _calls_self(body):
            self.self_is_unknown()

    # Statements

    def block(self, frame: _Frame, body: list[ast.stmt]) -> None:
        for statement in body:
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise _LimitError
            _STATEMENTS[type(statement)](self, frame, statement)

    def _assert(self, frame: _Frame, node: ast.Assert) -> None:
        if self.condition(frame, node.test) is False:
            words = self._words(frame, node.msg) if node.msg is not None else ""
            raise self._refused(frame, "AssertionError", words, node.test)

    def _raise(self, frame: _Frame, node: ast.Raise, around: ast.expr | None = None) -> None:
        call = node.exc
        assert isinstance(call, ast.Call)
        words = self._words(frame, call.args[0]) if call.args else ""
        raise self._refused(frame, ast.unparse(call.func), words, around)

    def _if(self, frame: _Frame, node: ast.If) -> None:
        verdict = self.condition(frame, node.test)
        if verdict is None:
            self._undecided(frame, [*node.body, *node.orelse])
            return
        body = node.body if verdict else node.orelse
        if body and isinstance(body[0], ast.Raise):
            self._raise(frame, body[0], node.test)
        self.block(frame, body)

    def _undecided(self, frame: _Frame, body: list[ast.stmt]) -> None:
        """Statements that may run or not: what they set is not known from there on."""
        if _leaves(body):
            raise UndecidedError
        names, attributes = _targets(body)
        for name, key in _items_changed(body):
            owner = frame.names.get(name)
            if name not in names and isinstance(owner, dict):
                owner[key] = Uncertain()
        frame.names |= dict.fromkeys(names, UNKNOWN)
        self.self.attributes |= dict.fromkeys(attributes, UNKNOWN)
        if _calls_self(body):
            self.self_is_unknown()

    def _for(self, frame: _Frame, node: ast.For) -> None:
        with self._refusing(frame, node.iter):
            items = items_of(self.value(frame, node.iter))
        if items is None:
            frame.names |= dict.fromkeys(_targets([node])[0], UNKNOWN)
            if self.is_in_use:
                self._one_turn(frame, node.body)
            self._undecided(frame, node.body)
            return
        for number, item in enumerate(items):
            self._set(frame, node.target, item, node.iter)
            if self.traces:
                self._set_sources_of_item(frame, node, number)
            try:
                self.block(frame, node.body)
            except _BreakError:
                break
            except _ContinueError:
                continue

    def _one_turn(self, frame: _Frame, body: list[ast.stmt]) -> None:
        """A loop over a batch, of which something is certain to be in."""
        with contextlib.suppress(_BreakError, _ContinueError, UndecidedError):
            self.block(frame, body)

    def _set_sources_of_item(self, frame: _Frame, node: ast.For, number: int) -> None:
        """Of a loop over a list, or over its items with their numbers, the item is what the turn is about."""
        target, iterated = node.target, node.iter
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name) and iterated.func.id == "enumerate":
            iterated = iterated.args[0]
            target = target.elts[1] if isinstance(target, ast.Tuple) and len(target.elts) == 2 else target
        if isinstance(target, ast.Name) and isinstance(iterated, (ast.Name, ast.Attribute)):
            sources = self._sources(frame, iterated)
            frame.sources[target.id] = frozenset(f"{source}[{number}]" for source in sources)

    def _expr(self, frame: _Frame, node: ast.Expr) -> None:
        self.value(frame, node.value)

    def _assign(self, frame: _Frame, node: ast.Assign) -> None:
        value = self.value(frame, node.value)
        for target in node.targets:
            self._set(frame, target, value, node.value)

    def _augassign(self, frame: _Frame, node: ast.AugAssign) -> None:
        current = self.value(frame, _loaded(node.target))
        with self._refusing(frame, ast.BinOp(_loaded(node.target), node.op, node.value)):
            value = _binary(node.op, current, self.value(frame, node.value))
        self._set(frame, node.target, value, node.value)

    def _return(self, frame: _Frame, node: ast.Return) -> None:
        raise _ReturnError(None if node.value is None else self.value(frame, node.value))

    def _break(self, frame: _Frame, node: ast.Break) -> None:
        raise _BreakError

    def _continue(self, frame: _Frame, node: ast.Continue) -> None:
        raise _ContinueError

    def _pass(self, frame: _Frame, node: ast.Pass) -> None:
        pass

    def _set(self, frame: _Frame, target: ast.expr, value: Any, source: ast.expr) -> None:
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
                        _forget_items(owner)
                    else:
                        owner[key] = value

    # Expressions

    def value(self, frame: _Frame, node: ast.expr) -> Any:
        return _EXPRESSIONS[type(node)](self, frame, node)

    def condition(self, frame: _Frame, node: ast.expr) -> bool | None:
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

    def _guarded(self, frame: _Frame, node: ast.expr) -> bool | None:
        try:
            return self.condition(frame, node)
        except _RefusedError:
            return None

    def _constant(self, frame: _Frame, node: ast.Constant) -> Any:
        return UNKNOWN if node.value is ... else node.value

    def _name(self, frame: _Frame, node: ast.Name) -> Any:
        if node.id in frame.names:
            return frame.names[node.id]
        if node.id == "self" and frame.position >= 0:
            return self.self
        return Name(node.id) if node.id in BUILTINS else UNKNOWN

    def _attribute(self, frame: _Frame, node: ast.Attribute) -> Any:
        dotted = _dotted(node)
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

    def _subscript(self, frame: _Frame, node: ast.Subscript) -> Any:
        owner = self.value(frame, node.value)
        if isinstance(node.slice, ast.Slice):
            parts = [None if part is None else self.value(frame, part) for part in _parts(node.slice)]
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

    def _tuple(self, frame: _Frame, node: ast.Tuple) -> Any:
        items = self._items(frame, node.elts)
        return UNKNOWN if items is None else tuple(items)

    def _list(self, frame: _Frame, node: ast.List) -> Any:
        items = self._items(frame, node.elts)
        return UNKNOWN if items is None else items

    def _set_(self, frame: _Frame, node: ast.Set) -> Any:
        items = self._items(frame, node.elts)
        with self._refusing(frame, node):
            return UNKNOWN if items is None or not all(map(is_known, items)) else set(items)

    def _items(self, frame: _Frame, nodes: list[ast.expr]) -> list[Any] | None:
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

    def _dict(self, frame: _Frame, node: ast.Dict) -> Any:
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

    def _compare(self, frame: _Frame, node: ast.Compare) -> Any:
        left = self.value(frame, node.left)
        is_open = False
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(frame, right_node)
            with self._refusing(frame, node):
                verdict = _compared(op, left, right)
            if verdict is False:
                return False
            is_open |= verdict is not True
            left = right
        return UNKNOWN if is_open else True

    def _boolop(self, frame: _Frame, node: ast.BoolOp) -> Any:
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

    def _unaryop(self, frame: _Frame, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            verdict = self.condition(frame, node.operand)
            return UNKNOWN if verdict is None else not verdict
        value = self.value(frame, node.operand)
        if not is_known(value):
            return UNKNOWN
        with self._refusing(frame, node):
            return _UNARY[type(node.op)](value)

    def _binop(self, frame: _Frame, node: ast.BinOp) -> Any:
        left, right = self.value(frame, node.left), self.value(frame, node.right)
        with self._refusing(frame, node):
            return _binary(node.op, left, right)

    def _ifexp(self, frame: _Frame, node: ast.IfExp) -> Any:
        verdict = self.condition(frame, node.test)
        if verdict is None:
            return UNKNOWN
        return self.value(frame, node.body if verdict else node.orelse)

    def _not_known(self, frame: _Frame, node: ast.expr) -> Any:
        return UNKNOWN

    def _comprehension(self, frame: _Frame, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Any:
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
        frame: _Frame,
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
            if self.steps > _MOST_STEPS:
                raise _LimitError
            self._set(frame, part.target, item, part.iter)
            verdicts = [self.condition(frame, test) for test in part.ifs]
            if None in verdicts:
                return False
            if False not in verdicts and not self._turns(frame, node, depth + 1, made):
                return False
        return True

    def _call(self, frame: _Frame, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            self._super_init(frame, node)
            return None
        positional, keywords = self._arguments(frame, node)
        if positional is None:
            if _is_own(node.func):
                self.self_is_unknown()
            return UNKNOWN
        if isinstance(node.func, ast.Name):
            called = frame.names.get(node.func.id, UNKNOWN if node.func.id not in BUILTINS else Name(node.func.id))
            return (
                self._call_named(frame, node, called.dotted, positional, keywords)
                if isinstance(called, Name)
                else UNKNOWN
            )
        if not isinstance(node.func, ast.Attribute):
            return UNKNOWN
        dotted = _dotted(node.func)
        if dotted is not None:
            return self._call_named(frame, node, dotted, positional, keywords)
        owner = self.value(frame, node.func.value)
        if owner is self.self:
            return self.call_own(node.func.attr, positional, keywords, self._call_sources(frame, node))
        if isinstance(owner, Name):
            return self._call_named(frame, node, f"{owner.dotted}.{node.func.attr}", positional, keywords)
        with self._refusing(frame, node):
            return call_method(owner, node.func.attr, positional, keywords)

    def _call_named(
        self, frame: _Frame, node: ast.Call, dotted: str, positional: list[Any], keywords: dict[str, Any]
    ) -> Any:
        if dotted in BUILTINS or dotted in FUNCTIONS:
            with self._refusing(frame, node):
                return (BUILTINS.get(dotted) or FUNCTIONS[dotted])(positional, keywords)
        if dotted.startswith(REGISTRY):
            return self._registered(dotted, positional)
        record = self.info.records(dotted)
        if record is None:
            return UNKNOWN
        if record.bases is None:
            return self.call_function(record, positional, keywords, self._call_sources(frame, node))
        return self.make(frame, node, record, positional, keywords)

    def _registered(self, dotted: str, positional: list[Any]) -> Any:
        """What a registry's `get` gives."""
        registry, _, method = dotted.removeprefix(REGISTRY).rpartition(".")
        if method != "get" or not positional or not isinstance(positional[0], str):
            return UNKNOWN
        info = self.info.find(positional[0], registry.replace("_", " "))
        return UNKNOWN if info is None else Name(info.dotted)

    def _super_init(self, frame: _Frame, node: ast.Call) -> None:
        assert isinstance(node.func, ast.Attribute)
        positional, keywords = self._arguments(frame, node)
        target = node.func.value
        named = target.args[0] if isinstance(target, ast.Call) and target.args else target
        dotted = _dotted(named) if isinstance(named, ast.Attribute) else None
        start = frame.position + 1
        if dotted is not None:
            is_after = isinstance(target, ast.Call)
            ancestors = enumerate(self.info.ancestors)
            index = next((index for index, record in ancestors if record and record.dotted == dotted), None)
            if index is None:
                self.self_is_unknown()
                return
            start = index + 1 if is_after else index
            if not is_after and positional:
                positional = positional[1:]  # `Base.__init__(self, ...)`
        if positional is None:
            self.self_is_unknown()
            return
        self.construct(start, positional, keywords, self._call_sources(frame, node))

    def _arguments(self, frame: _Frame, node: ast.Call) -> tuple[list[Any] | None, dict[str, Any]]:
        positional = self._items(frame, node.args)
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(frame, keyword.value)
            if keyword.arg is not None:
                keywords[keyword.arg] = value
            elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
                keywords |= value
            else:
                if isinstance(value, PLAIN) and not isinstance(value, dict):
                    kind = "NoneType" if value is None else type(value).__name__
                    with self._refusing(frame, keyword.value):
                        raise TypeError(f"argument after ** must be a mapping, not {kind}")
                return None, {}
        return positional, keywords

    # What a value was made of

    def _call_sources(self, frame: _Frame, node: ast.Call) -> Sources:
        if not self.traces:
            return {}
        sources: Sources = {str(number): self._sources(frame, arg) for number, arg in enumerate(node.args)}
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr == "__init__"
            and not isinstance(node.func.value, ast.Call)
        ):
            sources = {str(number): self._sources(frame, arg) for number, arg in enumerate(node.args[1:])}
        for keyword in node.keywords:
            if keyword.arg is not None:
                sources[keyword.arg] = self._sources(frame, keyword.value)
            else:
                start = f"{keyword.value.id}." if isinstance(keyword.value, ast.Name) else "**"
                spread = {k[len(start) :]: names for k, names in frame.sources.items() if k.startswith(start)}
                if not spread:
                    unpacked = self.value(frame, keyword.value)
                    of_all = self._sources(frame, keyword.value)
                    spread = {
                        key: frozenset(f"{source}.{key}" for source in of_all)
                        for key in (unpacked if isinstance(unpacked, dict) else ())
                    }
                sources |= spread
        return sources

    def _sources(self, frame: _Frame, node: ast.AST) -> frozenset[str]:
        """The arguments, or paths into them, that an expression's value is made of."""
        if isinstance(node, ast.Name):
            return frame.sources.get(node.id, frozenset())
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self.self_sources.get(node.attr, frozenset())
            return self._sources(frame, node.value)
        step = _step(node)
        if step is not None:
            return frozenset(f"{source}{step[1]}" for source in self._sources(frame, step[0]))
        return frozenset().union(*(self._sources(frame, inner) for inner in ast.iter_child_nodes(node)))

    # Refusing

    def _refusing(self, frame: _Frame, node: ast.AST) -> _Refusing:
        """What Python raises inside is a refusal of the node's."""
        return _Refusing(self, frame, node)

    def _refused(self, frame: _Frame, error: str, words: str, node: ast.AST | None) -> _RefusedError:
        condition = "" if node is None else _shown(node)
        keys = () if node is None else tuple(sorted(self._sources(frame, node)))
        words = " ".join(words.split()).removeprefix(f"{error}: ") or condition
        if len(words) > _LONGEST_TEXT:
            words = f"{words[:_LONGEST_TEXT]}..."
        return _RefusedError(Refusal(error, words, frame.owner.dotted, keys, condition))

    def _words(self, frame: _Frame, node: ast.expr) -> str:
        """The text of a message, `...` for what is not known of it."""
        if isinstance(node, ast.JoinedStr):
            return "".join(self._words(frame, value) for value in node.values)
        if isinstance(node, ast.FormattedValue):
            return self._words(frame, node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._words(frame, node.left) + self._words(frame, node.right)
        try:
            value = self.value(frame, node)
        except _RefusedError:
            return "..."
        if isinstance(value, Name):
            return value.dotted
        return value if isinstance(value, str) else repr(value) if is_known(value) else "..."


def _bound(parameters: tuple[Parameter, ...], positional: list[Any], keywords: dict[str, Any]) -> dict[str, Any] | None:
    """The local variables that a call starts with, or None where the call does not fit."""
    names: dict[str, Any] = {}
    left = list(positional)
    rest = dict(keywords)
    for parameter in parameters:
        if parameter.kind is Kind.VAR_POSITIONAL:
            names[parameter.name], left = tuple(left), []
        elif parameter.kind is Kind.VAR_KEYWORD:
            names[parameter.name], rest = rest, {}
        elif left and parameter.kind is not Kind.KEYWORD_ONLY:
            names[parameter.name] = left.pop(0)
            if parameter.name in rest:
                return None
        elif parameter.name in rest and parameter.kind is not Kind.POSITIONAL_ONLY:
            names[parameter.name] = rest.pop(parameter.name)
        elif parameter.default is REQUIRED or parameter.default is UNKNOWN_DEFAULT:
            names[parameter.name] = UNKNOWN
        else:
            names[parameter.name] = plain(parameter.default, [MOST_ITEMS], of_config=False)
    return None if left or rest else names


def _forget_items(owner: list[Any] | dict[Any, Any]) -> None:
    if isinstance(owner, list):
        owner[:] = [UNKNOWN] * len(owner)
    else:
        owner.clear()
        owner[UNKNOWN] = UNKNOWN


def _parts(node: ast.Slice) -> tuple[ast.expr | None, ...]:
    return node.lower, node.upper, node.step


def _loaded(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Name):
        return ast.Name(node.id, ast.Load())
    if isinstance(node, ast.Attribute):
        return ast.Attribute(node.value, node.attr, ast.Load())
    return ast.Subscript(node.value, node.slice, ast.Load()) if isinstance(node, ast.Subscript) else node


@functools.lru_cache(maxsize=65_536)
def _dotted(node: ast.expr) -> str | None:
    """The full name that `__.a.b` stands for, or None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed(parts)) if isinstance(node, ast.Name) and node.id == GLOBAL else None


def _step(node: ast.AST) -> tuple[ast.expr, str] | None:
    """What `x['key']`, `x[0]`, `x.get('key')` and `x.pop('key')` look into, and the step into it."""
    if isinstance(node, ast.Subscript):
        owner, key = node.value, node.slice
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "pop")
        and node.args
    ):
        owner, key = node.func.value, node.args[0]
    else:
        return None
    if not isinstance(key, ast.Constant) or isinstance(key.value, bool):
        return None
    if isinstance(key.value, str):
        return owner, f".{key.value}"
    return (owner, f"[{key.value}]") if isinstance(key.value, int) and isinstance(node, ast.Subscript) else None


def _is_own(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _shown(node: ast.AST) -> str:
    return ast.unparse(node).replace(f"{GLOBAL}.", "")


_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _compared(op: ast.cmpop, left: Any, right: Any) -> Any:
    """True, False, or UNKNOWN."""
    if isinstance(op, (ast.Is, ast.IsNot)):
        verdict = _is_same(left, right)
        return verdict if verdict is UNKNOWN or isinstance(op, ast.Is) else not verdict
    if isinstance(op, (ast.In, ast.NotIn)):
        verdict = _contains(left, right)
        return verdict if verdict is UNKNOWN or isinstance(op, ast.In) else not verdict
    if isinstance(op, (ast.Eq, ast.NotEq)):
        if isinstance(left, Name) and isinstance(right, Name):
            verdict = left == right
        else:
            verdict = left == right if is_known(left) and is_known(right) else UNKNOWN
        return verdict if verdict is UNKNOWN or isinstance(op, ast.Eq) else not verdict
    if not (is_known(left) and is_known(right)):
        return UNKNOWN
    return _COMPARISONS[type(op)](left, right)


def _is_same(left: Any, right: Any) -> Any:
    singletons = (None, True, False)
    if any(right is singleton for singleton in singletons):
        left, right = right, left
    if any(left is singleton for singleton in singletons):
        if isinstance(right, PLAIN):
            return left is right
        return UNKNOWN if right is UNKNOWN else False
    return left == right if isinstance(left, Name) and isinstance(right, Name) else UNKNOWN


def _contains(item: Any, owner: Any) -> Any:
    if isinstance(owner, (int, float)) or owner is None:
        raise TypeError(f"argument of type {type(owner).__name__!r} is not iterable")
    if not isinstance(owner, PLAIN):
        return UNKNOWN
    if isinstance(owner, str) and isinstance(item, PLAIN) and not isinstance(item, str):
        raise TypeError(f"'in <string>' requires string as left operand, not {type(item).__name__}")
    if not is_known(item):
        return UNKNOWN
    if isinstance(owner, (dict, set, frozenset)) and isinstance(item, (list, dict, set)):
        raise TypeError(f"unhashable type: {type(item).__name__!r}")
    if isinstance(owner, dict) and isinstance(owner.get(item), Uncertain):
        return UNKNOWN
    if item in owner:  # type: ignore[operator]
        return True
    return False if not isinstance(owner, (list, tuple, dict)) or UNKNOWN not in owner else UNKNOWN


_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}


_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    function = _BINARY.get(type(op))
    if isinstance(op, ast.Pow) and all(isinstance(value, (int, float)) for value in (left, right)):
        return left**right if abs(left) < 1e4 and abs(right) < 60 else UNKNOWN
    for value, other in ((left, right), (right, left)):
        # no number, array or tensor takes a None
        if value is None and isinstance(op, _ARITHMETIC):
            shown = "..." if other is UNKNOWN else type(other).__name__
            raise TypeError(f"unsupported operand types of an arithmetic operation: 'NoneType' and {shown!r}")
    if function is None or not isinstance(left, PLAIN) or not isinstance(right, PLAIN):
        return UNKNOWN
    if isinstance(op, ast.Mod) and isinstance(left, (str, bytes)):
        if isinstance(left, str) and "%" not in left and not isinstance(right, (dict, tuple)):
            raise TypeError("not all arguments converted during string formatting")
        return UNKNOWN
    if isinstance(op, ast.Mult) and not _is_small(left, right):
        return UNKNOWN
    if isinstance(op, ast.Add) and isinstance(left, dict):
        raise TypeError("unsupported operand type(s) for +: 'dict'")
    return function(left, right)


def _is_small(left: Any, right: Any) -> bool:
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return abs(left) < _LARGEST_INT and abs(right) < _LARGEST_INT
    for items, count in ((left, right), (right, left)):
        if isinstance(items, (str, list, tuple)) and isinstance(count, int):
            return len(items) * max(count, 0) <= MOST_ITEMS
    return True


# What statements do where it is not known whether they run


@functools.lru_cache(maxsize=4096)
def _effects(node: ast.stmt) -> tuple[frozenset[str], frozenset[str], bool, bool]:
    """Names and attributes that a statement sets or changes, whether it may leave, whether it calls own methods."""
    names: set[str] = set()
    attributes: set[str] = set()
    leaves = calls = False
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            attributes.add(inner.attr)
        elif isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
            _changed(inner.value, names, attributes)
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr == "__init__" or _is_own(inner.func):
                calls = True
            elif _item_changed(inner) is None:
                _changed(inner.func.value, names, attributes)
        elif isinstance(inner, (ast.Return, ast.Break, ast.Continue)):
            leaves = True
    return frozenset(names), frozenset(attributes), leaves, calls


def _item_changed(node: ast.Call) -> tuple[str, Any] | None:
    """The local dict and the key that `x.pop('key')` changes, or `x.setdefault('key', ...)`."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in ("pop", "setdefault") or not node.args:
        return None
    key = node.args[0]
    if not isinstance(function.value, ast.Name) or not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return None
    return function.value.id, key.value


@functools.lru_cache(maxsize=4096)
def _items_changed_by(node: ast.stmt) -> tuple[tuple[str, Any], ...]:
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return tuple(item for call in calls if (item := _item_changed(call)) is not None)


def _items_changed(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    for statement in body:
        yield from _items_changed_by(statement)


def _changed(node: ast.expr, names: set[str], attributes: set[str]) -> None:
    while isinstance(node, (ast.Subscript, ast.Call)):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    if isinstance(node, ast.Name) and node.id != GLOBAL:
        names.add(node.id)
    elif isinstance(node, ast.Attribute) and _is_own(node):
        attributes.add(node.attr)


def _targets(body: list[ast.stmt]) -> tuple[set[str], set[str]]:
    names: set[str] = set()
    attributes: set[str] = set()
    for statement in body:
        of_names, of_attributes, _, _ = _effects(statement)
        names |= of_names
        attributes |= of_attributes
    return names, attributes


def _leaves(body: list[ast.stmt]) -> bool:
    return any(_effects(statement)[2] for statement in body)


def _calls_self(body: list[ast.stmt]) -> bool:
    return any(_effects(statement)[3] for statement in body)


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[_Run, _Frame, Any], None]]] = {
    ast.Assert: _Run._assert,
    ast.Assign: _Run._assign,
    ast.AugAssign: _Run._augassign,
    ast.Break: _Run._break,
    ast.Continue: _Run._continue,
    ast.Expr: _Run._expr,
    ast.For: _Run._for,
    ast.If: _Run._if,
    ast.Pass: _Run._pass,
    ast.Raise: _Run._raise,
    ast.Return: _Run._return,
}
_EXPRESSIONS: Final[dict[type[ast.expr], Callable[[_Run, _Frame, Any], Any]]] = {
    ast.Attribute: _Run._attribute,
    ast.BinOp: _Run._binop,
    ast.BoolOp: _Run._boolop,
    ast.Call: _Run._call,
    ast.Compare: _Run._compare,
    ast.Constant: _Run._constant,
    ast.Dict: _Run._dict,
    ast.DictComp: _Run._comprehension,
    ast.GeneratorExp: _Run._comprehension,
    ast.IfExp: _Run._ifexp,
    ast.JoinedStr: _Run._not_known,
    ast.List: _Run._list,
    ast.ListComp: _Run._comprehension,
    ast.Name: _Run._name,
    ast.Set: _Run._set_,
    ast.Slice: _Run._not_known,
    ast.SetComp: _Run._comprehension,
    ast.Subscript: _Run._subscript,
    ast.Tuple: _Run._tuple,
    ast.UnaryOp: _Run._unaryop,
}
