"""Follow the excerpt of a constructor with a config's values, statement by statement and call by call."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from provecfg.registry.classes import ClassRecord
from provecfg.registry.kwargs_flow import Flow
from provecfg.registry.preconditions.effects import calls_own_method, items_changed, may_leave, targets
from provecfg.registry.preconditions.evaluation import MOST_STEPS, Evaluation, Frame, Sources
from provecfg.registry.preconditions.natives import (
    BUILTINS,
    FUNCTIONS,
    PRECONDITIONS,
    REGISTRY,
    call_method,
    items_of,
)
from provecfg.registry.preconditions.nodes import dotted_name, is_own, loaded
from provecfg.registry.preconditions.operators import binary
from provecfg.registry.preconditions.outcomes import (
    BreakError,
    ContinueError,
    LimitError,
    Refusal,
    RefusedError,
    ReturnError,
)
from provecfg.registry.preconditions.values import (
    MOST_ITEMS,
    PLAIN,
    UNKNOWN,
    Instance,
    Name,
    Uncertain,
    UndecidedError,
    plain,
)
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Kind, Parameter

_DEEPEST: Final = 25
"""Calls, one in another."""
_MADE: Final[set[str]] = set()
"""Classes with what they were given and did not refuse; most models are made of many equal parts."""
_MOST_MADE: Final = 20_000

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


class Execution(Evaluation):
    """The statements of excerpts and the calls in them: an object made as a config declares it, then used."""

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
        except RefusedError as refused:
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
            refuses_names: Whether a name that it does not take, or lacks, is refused here.
        """
        ancestors = self.info.ancestors
        for position in range(start, len(ancestors)):
            record = ancestors[position]
            if record is None:
                self.self_is_unknown()
                return
            if record.parameters is None:
                continue
            if refuses_names:
                self._check_call(record.dotted, record.parameters, positional, keywords, sources, record.flow)
            body = record.body("__init__")
            if body is None:
                self.hides_attributes |= record.may_hide("__init__")
                return
            names = bound(record.parameters, positional, keywords)
            if names is None:
                return
            frame = Frame(record, position, names, self._handed(record.parameters, positional, sources))
            for name, precondition in PRECONDITIONS.get(record.dotted, {}).items():
                with self._refusing(frame, ast.Name(name, ast.Load())):
                    precondition(name, names.get(name, UNKNOWN))
            self._run(frame, body)
            return

    def _check_call(
        self,
        called: str,
        parameters: Sequence[Parameter],
        positional: list[Any],
        keywords: dict[str, Any],
        sources: Sources,
        flow: Flow | None = None,
    ) -> None:
        """Refuse a keyword argument that a call does not take, and a call that lacks one that it needs.

        Args:
            called: Dotted name of the class, function or method.
            parameters: Of its signature.
            positional: What it is given by position.
            keywords: What it is given by name.
            sources: Which arguments of the config went into each of `keywords`.
            flow: What its `**kwargs`, or a decorator that renames old arguments, make of further names.
        """
        name = called.rpartition(".")[2]
        by_position = [p.name for p in parameters if p.kind in (Kind.POSITIONAL_ONLY, Kind.POSITIONAL_OR_KEYWORD)]
        filled = by_position[: len(positional)]
        known = [parameter.name for parameter in parameters if parameter.by_keyword]
        takes_any = any(parameter.kind is Kind.VAR_KEYWORD for parameter in parameters)
        if flow is not None:
            known += [*flow.reads, *flow.sets]
            takes_any = takes_any or not flow.refuses
        for key in keywords if not takes_any else ():
            if key not in known and not isinstance(keywords[key], Uncertain):
                words = f"{name} got an unexpected keyword argument {key!r}"
                raise RefusedError(Refusal("TypeError", words, called, tuple(sorted(sources.get(key, ()))), ""))
        for parameter in parameters:
            if parameter.is_required and parameter.name not in filled and parameter.name not in keywords:
                words = f"{name} lacks the argument {parameter.name!r}"
                raise RefusedError(Refusal("TypeError", words, called, (), "", is_missing=True))

    def call_function(
        self, record: ClassRecord, positional: list[Any], keywords: dict[str, Any], sources: Sources
    ) -> Any:
        body = record.body(record.name)
        names = None if body is None or record.parameters is None else bound(record.parameters, positional, keywords)
        if body is None or names is None or record.parameters is None:
            return UNKNOWN
        return self._run(Frame(record, -1, names, self._handed(record.parameters, positional, sources)), body)

    def make(
        self, frame: Frame, node: ast.Call, record: ClassRecord, positional: list[Any], keywords: dict[str, Any]
    ) -> Instance:
        """Make an object of another class."""
        key = "" if self.traces else f"{record.dotted} {positional!r} {keywords!r}"
        if key in _MADE and key:
            return Instance()
        info = self._info_of(record.dotted)
        if info is None:
            return Instance()
        inner = Execution(info, self.traces)
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
                else:
                    self._check_call(f"{record.dotted}.{name}", parameters, positional, keywords, sources)
                names = bound(parameters, positional, keywords)
                if names is None:
                    break
                return self._run(Frame(record, position, names, self._handed(parameters, positional, sources)), body)
        self.self_is_unknown()
        return UNKNOWN

    def self_is_unknown(self) -> None:
        """Something that cannot be followed may have set any attribute."""
        self.self.attributes = dict.fromkeys(self.self.attributes, UNKNOWN)

    def _handed(self, parameters: Sequence[Parameter], positional: list[Any], sources: Sources) -> Sources:
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

    def _run(self, frame: Frame, body: list[ast.stmt]) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise LimitError
        try:
            self.block(frame, body)
        except ReturnError as returned:
            return returned.value
        except UndecidedError:
            # the rest may have run or not: what it sets is not known
            self._forget_all(frame, body)
            return UNKNOWN
        finally:
            self.depth -= 1
        return None

    def _forget_all(self, frame: Frame, body: list[ast.stmt]) -> None:
        for name in targets(body)[1]:
            self.self.attributes[name] = UNKNOWN
        if calls_own_method(body):
            self.self_is_unknown()

    def call(self, frame: Frame, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            self._super_init(frame, node)
            return None
        positional, keywords = self._arguments(frame, node)
        if positional is None:
            if is_own(node.func):
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
        dotted = dotted_name(node.func)
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
        self, frame: Frame, node: ast.Call, dotted: str, positional: list[Any], keywords: dict[str, Any]
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

    def _super_init(self, frame: Frame, node: ast.Call) -> None:
        assert isinstance(node.func, ast.Attribute)
        positional, keywords = self._arguments(frame, node)
        target = node.func.value
        named = target.args[0] if isinstance(target, ast.Call) and target.args else target
        dotted = dotted_name(named) if isinstance(named, ast.Attribute) else None
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

    def _arguments(self, frame: Frame, node: ast.Call) -> tuple[list[Any] | None, dict[str, Any]]:
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

    def _call_sources(self, frame: Frame, node: ast.Call) -> Sources:
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

    # Statements

    def block(self, frame: Frame, body: list[ast.stmt]) -> None:
        for statement in body:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise LimitError
            _STATEMENTS[type(statement)](self, frame, statement)

    def _assert(self, frame: Frame, node: ast.Assert) -> None:
        if self.condition(frame, node.test) is False:
            words = self._words(frame, node.msg) if node.msg is not None else ""
            raise self._refused(frame, "AssertionError", words, node.test)

    def _raise(self, frame: Frame, node: ast.Raise, around: ast.expr | None = None) -> None:
        call = node.exc
        assert isinstance(call, ast.Call)
        words = self._words(frame, call.args[0]) if call.args else ""
        raise self._refused(frame, ast.unparse(call.func), words, around)

    def _if(self, frame: Frame, node: ast.If) -> None:
        verdict = self.condition(frame, node.test)
        if verdict is None:
            self._undecided(frame, [*node.body, *node.orelse])
            return
        body = node.body if verdict else node.orelse
        if body and isinstance(body[0], ast.Raise):
            self._raise(frame, body[0], node.test)
        self.block(frame, body)

    def _undecided(self, frame: Frame, body: list[ast.stmt]) -> None:
        """Statements that may run or not: what they set is not known from there on."""
        if may_leave(body):
            raise UndecidedError
        names, attributes = targets(body)
        for name, key in items_changed(body):
            owner = frame.names.get(name)
            if name not in names and isinstance(owner, dict):
                owner[key] = Uncertain()
        frame.names |= dict.fromkeys(names, UNKNOWN)
        self.self.attributes |= dict.fromkeys(attributes, UNKNOWN)
        if calls_own_method(body):
            self.self_is_unknown()

    def _for(self, frame: Frame, node: ast.For) -> None:
        with self._refusing(frame, node.iter):
            items = items_of(self.value(frame, node.iter))
        if items is None:
            frame.names |= dict.fromkeys(targets([node])[0], UNKNOWN)
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
            except BreakError:
                break
            except ContinueError:
                continue

    def _one_turn(self, frame: Frame, body: list[ast.stmt]) -> None:
        """A loop over a batch, of which something is certain to be in."""
        with contextlib.suppress(BreakError, ContinueError, UndecidedError):
            self.block(frame, body)

    def _set_sources_of_item(self, frame: Frame, node: ast.For, number: int) -> None:
        """Of a loop over a list, or over its items with their numbers, the item is what the turn is about."""
        target, iterated = node.target, node.iter
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name) and iterated.func.id == "enumerate":
            iterated = iterated.args[0]
            target = target.elts[1] if isinstance(target, ast.Tuple) and len(target.elts) == 2 else target
        if isinstance(target, ast.Name) and isinstance(iterated, (ast.Name, ast.Attribute)):
            sources = self._sources(frame, iterated)
            frame.sources[target.id] = frozenset(f"{source}[{number}]" for source in sources)

    def _expr(self, frame: Frame, node: ast.Expr) -> None:
        self.value(frame, node.value)

    def _assign(self, frame: Frame, node: ast.Assign) -> None:
        value = self.value(frame, node.value)
        for target in node.targets:
            self._set(frame, target, value, node.value)

    def _augassign(self, frame: Frame, node: ast.AugAssign) -> None:
        current = self.value(frame, loaded(node.target))
        with self._refusing(frame, ast.BinOp(loaded(node.target), node.op, node.value)):
            value = binary(node.op, current, self.value(frame, node.value))
        self._set(frame, node.target, value, node.value)

    def _return(self, frame: Frame, node: ast.Return) -> None:
        raise ReturnError(None if node.value is None else self.value(frame, node.value))

    def _break(self, frame: Frame, node: ast.Break) -> None:
        raise BreakError

    def _continue(self, frame: Frame, node: ast.Continue) -> None:
        raise ContinueError

    def _pass(self, frame: Frame, node: ast.Pass) -> None:
        pass


def bound(parameters: Sequence[Parameter], positional: list[Any], keywords: dict[str, Any]) -> dict[str, Any] | None:
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


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[Execution, Frame, Any], None]]] = {
    ast.Assert: Execution._assert,
    ast.Assign: Execution._assign,
    ast.AugAssign: Execution._augassign,
    ast.Break: Execution._break,
    ast.Continue: Execution._continue,
    ast.Expr: Execution._expr,
    ast.For: Execution._for,
    ast.If: Execution._if,
    ast.Pass: Execution._pass,
    ast.Raise: Execution._raise,
    ast.Return: Execution._return,
}
