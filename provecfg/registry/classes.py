"""Classes as the registry knows them, and what becomes of each argument that a config gives one."""

from __future__ import annotations

import ast
import enum
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from provecfg.registry.builders import ALWAYS_TAKEN, SUPPLIED, SUPPLIED_TO, TAKEN, taken_in_slot
from provecfg.registry.kwargs_flow import NEXT_INIT, Delegate, Flow, Target
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Kind, Parameter, parameters_of
from provecfg.registry.stated_types import StatedType, type_of
from provecfg.spelling import nearest_names

_DEEPEST_CHAIN = 40
"""More parents than any class has; user modules may be circular."""


class Fate(enum.Enum):
    """What becomes of an argument."""

    USED = "used"
    """A parameter takes it, or the code looks it up."""
    REFUSED = "refused"
    """The call raises TypeError (for a hook that keeps its arguments, later)."""
    SWALLOWED = "swallowed"
    """It is accepted without a word and dropped."""
    UNKNOWN = "unknown"
    """It goes where reading the source cannot follow."""


class Excerpts(NamedTuple):
    """What the source of a class or function tells of the values that it refuses.

    Args:
        methods: Source by method, the constructor's as `__init__`, a function's by its own name.
        constants: Source of the class's own attributes that they look at.
    """

    methods: Mapping[str, str] = MappingProxyType({})
    constants: Mapping[str, str] = MappingProxyType({})


ReadExcerpts = Callable[[str, str], Excerpts]
"""From a module and the name of a class or function in it."""


@dataclass(frozen=True)
class ClassRecord:
    """One class or function as its own source text has it, parents not looked at.

    Args:
        module: Dotted module that defines it.
        name: Name in that module (dotted for a nested class).
        bases: Dotted names of the direct parents, in order; None for a function. A name that starts with `?` is one
            that could not be found.
        parameters: Of its own `__init__` without `self` (of the function itself); None if it defines none.
        flow: Where that one's `**kwargs` go; None if it has none.
        forward: Parameters of its own `forward`, or None if it defines none.
        has_loss_name: Whether it defines `loss_name`, which mmseg's heads read of each of their losses.
        documented: Source of the types that its docstring states, by argument (`stated_type`).
        file: The file it was read from, for a class of the user's.
        row: Line of its definition there.
        read_excerpts: Reads its excerpts when they are asked for; None of a class that has none.
        own_names: Of a class that has none, the names that its body binds; None where they are not known.
        extended: Of those, the methods that are sure to call the parent's, with what they are given themselves.
        changed: Of a class of the user's, arguments of which its constructor may give the parent another value.
        texts: Of a class of the user's, the keys that its body may take out of a dict or set in it.
        class_count: Of a dataset of the user's, how many classes its own METAINFO names; None where it tells none.
    """

    module: str
    name: str
    bases: tuple[str, ...] | None
    parameters: Sequence[Parameter] | None
    flow: Flow | None = None
    forward: Sequence[Parameter] | None = None
    has_loss_name: bool = False
    documented: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    row: int = 0
    read_excerpts: ReadExcerpts | None = field(default=None, repr=False, compare=False)
    own_names: frozenset[str] | None = None
    extended: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    class_count: int | None = None

    @cached_property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}"

    @cached_property
    def _excerpts(self) -> Excerpts:
        return Excerpts() if self.read_excerpts is None else self.read_excerpts(self.module, self.name)

    @property
    def excerpts(self) -> Mapping[str, str]:
        """Source of what can refuse a value (`preconditions`), by method; '' for a method that cannot be followed."""
        return self._excerpts.methods

    @property
    def constants(self) -> Mapping[str, str]:
        """Source of the class's own attributes that excerpts look at."""
        return self._excerpts.constants

    def may_hide(self, name: str) -> bool:
        """Whether the class may have a method or attribute of its own of which there is no excerpt."""
        return self.read_excerpts is None and (self.own_names is None or name in self.own_names)

    def may_change(self, name: str) -> bool:
        """Whether a class of the user's may give its parent another value under this name than it is given itself."""
        return self.own_names is None or name in self.changed or name in self.texts

    def body(self, name: str) -> list[ast.stmt] | None:
        """The excerpt of the constructor, or of a function itself."""
        text = self.excerpts.get(name)
        return _statements(text) if text else None

    def method(self, name: str) -> tuple[tuple[Parameter, ...], list[ast.stmt]] | None:
        """Parameters and excerpt of a method that an excerpt calls; None where it cannot be followed."""
        text = self.excerpts.get(name)
        function = _statements(text)[0] if text else None
        if not isinstance(function, ast.FunctionDef):
            return None
        return parameters_of(function.args, origin=self.dotted, skip_first=True), function.body


@functools.lru_cache(maxsize=4096)
def _statements(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


Records = Callable[[str], "ClassRecord | None"]
"""The record of a dotted name, or None if nothing is known about it."""


@dataclass(frozen=True)
class ClassInfo:
    """A class that a config can name, with what its parents take.

    Args:
        type_name: The name it is registered under.
        registry: mmengine's name of the registry (`model`, `hook`, `parameter scheduler`), or '' if found by its
            dotted name only.
        scope: The scope it is registered in (`mmseg`, `mmengine`), or ''.
        record: What its own source says.
        records: Where parents are looked up.
        find: Looks up another type by name, for arguments that are handed on to a class the config names.
    """

    type_name: str
    registry: str
    scope: str
    record: ClassRecord
    records: Records
    find: Callable[[str, str], ClassInfo | None]
    _fates: dict[tuple[str, str], Fate] = field(default_factory=dict, compare=False, repr=False)
    _stated_types: dict[str, StatedType | None] = field(default_factory=dict, compare=False, repr=False)

    @property
    def dotted(self) -> str:
        """Module and name, such as `mmseg.models.decode_heads.fcn_head.FCNHead`."""
        return self.record.dotted

    @cached_property
    def ancestors(self) -> tuple[ClassRecord | None, ...]:
        """The method resolution order, itself first; None stands for a parent about which nothing is known."""
        return tuple(_linear(self.record, self.records, 0))

    @cached_property
    def ancestor_names(self) -> frozenset[str]:
        """Names, without module, of the class and all its known parents."""
        return frozenset(record.name for record in self.ancestors if record is not None)

    @property
    def is_of_user(self) -> bool:
        """Whether it was read in a module of the user's; what it does with what its config holds is its own affair."""
        return self.record.file is not None

    def may_replace(self, name: str) -> bool:
        """Whether it, or a parent, may have a method or attribute of this name in place of the release's own."""
        return any(record is None or record.may_hide(name) for record in self.ancestors)

    def may_take_out(self, key: str) -> bool:
        """Whether a class of the user's may take this key out of a dict that it is given, or set it, before it builds
        that.
        """
        return self.names_text(key)

    def names_text(self, text: str) -> bool:
        """Whether the body of a class of the user's, or of a parent, has this identifier as a text: a mode or a metric
        that a fork's copy of a class knows beside the release's.
        """
        return any(record is not None and text in record.texts for record in self.ancestors)

    def is_a(self, name: str) -> bool:
        """Whether the class is, or inherits from, one of this name (`BaseDecodeHead`)."""
        return name in self.ancestor_names

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Every argument that a config can usefully give, by name, those of parents that `**kwargs` reach included."""
        by_name = _effective(self, 0, 0, frozenset(), 0)
        supplied = SUPPLIED.get(self.registry, frozenset())
        for name, arguments in SUPPLIED_TO.items():
            supplied |= arguments if self.is_a(name) else frozenset()
        for name in supplied & by_name.keys():
            if by_name[name].is_required:
                by_name[name] = by_name[name]._replace(default=UNKNOWN_DEFAULT)
        return by_name

    def stated_type(self, name: str) -> StatedType | None:
        """What an argument takes; None where annotation, docstring and default leave that open."""
        if name not in self._stated_types:
            parameter = self.parameters.get(name)
            text = self._documented.get((self.dotted, name))
            if parameter is not None and text is None:
                text = self._documented.get((parameter.origin, name))
            self._stated_types[name] = type_of(parameter, text) if parameter is not None else None
        return self._stated_types[name]

    @cached_property
    def _documented(self) -> Mapping[tuple[str, str], str]:
        return {
            (record.dotted, name): text
            for record in self.ancestors
            if record is not None
            for name, text in record.documented.items()
        }

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Arguments that must be given, those that the builder supplies left out."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.is_required)

    def fate(self, key: str, values: Mapping[str, Any] | None = None, *, slot: str = "") -> Fate:
        """What becomes of the argument `key`.

        Args:
            key: The argument's name.
            values: The config dict it stands in; some classes hand their arguments to a class that another key names.
            slot: The key that the dict itself stands under (`norm_cfg`).
        """
        fate = self._fates.get((key, slot))
        if fate is None:
            if key in ALWAYS_TAKEN or key in TAKEN.get(self.registry, ()) or key in taken_in_slot(slot):
                fate = Fate.USED
            elif self._asks_its_values:
                return _fate(self, 0, key, 0, values or {}, 0)
            else:
                fate = _fate(self, 0, key, 0, {}, 0)
            self._fates[key, slot] = fate
        return fate

    @cached_property
    def _asks_its_values(self) -> bool:
        return any(record is not None and record.flow and record.flow.delegates for record in self.ancestors)

    def accepts(self, key: str, values: Mapping[str, Any] | None = None, *, slot: str = "") -> bool:
        """Whether the argument is used, or may be for all that the source tells."""
        return self.fate(key, values, slot=slot) in (Fate.USED, Fate.UNKNOWN)

    def refuses(self, key: str, values: Mapping[str, Any] | None = None, *, slot: str = "") -> bool:
        """Whether giving the argument raises."""
        return self.fate(key, values, slot=slot) is Fate.REFUSED

    def swallowed(self, key: str, values: Mapping[str, Any] | None = None, *, slot: str = "") -> bool:
        """Whether the argument is taken without a word and dropped."""
        return self.fate(key, values, slot=slot) is Fate.SWALLOWED

    @cached_property
    def swallows(self) -> bool:
        """Whether arguments that nobody knows are taken and dropped."""
        return self.fate(_NOBODY) is Fate.SWALLOWED

    @cached_property
    def open(self) -> bool:
        """Whether the arguments it takes cannot be known."""
        return self.fate(_NOBODY) is Fate.UNKNOWN

    def nearest(self, key: str) -> list[str]:
        """Arguments that `key` may have been meant to be, best first."""
        return nearest_names(key, self.parameters)

    @cached_property
    def forward(self) -> Mapping[str, Parameter] | None:
        """Parameters of `forward`, its own or the nearest parent's, or None if none is known."""
        for record in self.ancestors:
            if record is None:
                return None
            if record.forward is not None:
                return {parameter.name: parameter for parameter in record.forward}
        return None

    @cached_property
    def has_loss_name(self) -> bool | None:
        """Whether instances have `loss_name`; None if a parent is not known."""
        if any(record is not None and record.has_loss_name for record in self.ancestors):
            return True
        return None if None in self.ancestors else False


_NOBODY = "no class has an argument of this name"


def _linear(record: ClassRecord, records: Records, depth: int) -> list[ClassRecord | None]:
    """Python's method resolution order (C3); where the parents do not fit together, simply left to right."""
    if record.bases is None or depth > _DEEPEST_CHAIN:
        return [record]
    lists: list[list[ClassRecord | None]] = []
    parents: list[ClassRecord | None] = []
    for base in record.bases:
        parent = records(base)
        parents.append(parent)
        lists.append([None] if parent is None else _linear(parent, records, depth + 1))
    lists.append(list(parents))
    order: list[ClassRecord | None] = [record]
    lists = [line for line in lists if line]
    while lists:
        head = next(
            (line[0] for line in lists if not any(_same(line[0], other) for o in lists for other in o[1:])),
            lists[0][0],
        )
        order.append(head)
        lists = [kept for line in lists if (kept := [entry for entry in line if not _same(entry, head)])]
    return order


def _same(left: ClassRecord | None, right: ClassRecord | None) -> bool:
    return left is right or (left is not None and right is not None and left.dotted == right.dotted)


def _constructor(info: ClassInfo, start: int) -> tuple[int, ClassRecord | None, Sequence[Parameter] | None]:
    """The first class at or after `start` in the resolution order that has an `__init__`.

    Returns: its place, its record (None for an unknown parent), and its parameters; where only `object` is left, the
    place is -1.
    """
    for index in range(start, len(info.ancestors)):
        record = info.ancestors[index]
        if record is None:
            return index, None, None
        if record.parameters is not None:
            return index, record, record.parameters
    return -1, None, None


def _follow(info: ClassInfo, index: int, target: Target) -> tuple[ClassInfo, int] | None:
    """The class and the place in its resolution order that a call leads to, or None if it is not known."""
    if target.callee == NEXT_INIT:
        return info, index + 1
    after = target.callee.startswith(f"{NEXT_INIT}:")
    record = info.records(target.callee[len(NEXT_INIT) + 1 :] if after else target.callee)
    if record is None:
        return None
    for place, ancestor in enumerate(info.ancestors):
        if _same(ancestor, record):
            return info, place + 1 if after else place
    return replace(info, type_name=record.name, registry="", scope="", record=record, _fates={}), 0


def _split(parameters: Iterable[Parameter], positional: int) -> tuple[list[Parameter], list[Parameter]]:
    """Parameters that a call's positional arguments fill, and those that are left for keywords."""
    filled: list[Parameter] = []
    left: list[Parameter] = []
    for parameter in parameters:
        if len(filled) < positional and parameter.kind in (Kind.POSITIONAL_ONLY, Kind.POSITIONAL_OR_KEYWORD):
            filled.append(parameter)
        elif parameter.by_keyword:
            left.append(parameter)
    return filled, left


def _fate(info: ClassInfo, start: int, key: str, positional: int, values: Mapping[str, Any], depth: int) -> Fate:
    index, record, parameters = _constructor(info, start)
    if index == -1:
        return Fate.REFUSED  # by object
    if record is None or parameters is None or depth > _DEEPEST_CHAIN:
        return Fate.UNKNOWN
    filled, left = _split(parameters, positional)
    if any(parameter.name == key for parameter in left):
        return Fate.USED
    if any(parameter.name == key for parameter in filled):
        return Fate.REFUSED  # given twice
    flow = record.flow
    if flow is None:
        return Fate.REFUSED
    if key in flow.reads:
        return Fate.USED
    if key in flow.sets:
        return Fate.SWALLOWED
    fates = [Fate.UNKNOWN] if flow.unknown else []
    for target in flow.targets:
        fate = _fate_in_call(info, index, target, key, values, depth)
        if fate is Fate.REFUSED and not target.conditional:
            return Fate.REFUSED
        fates.append(fate)
    fates += [_fate_in_config(info, delegate, key, values, depth) for delegate in flow.delegates]
    for verdict in (Fate.USED, Fate.UNKNOWN):
        if verdict in fates:
            return verdict
    if flow.refuses or (fates and Fate.SWALLOWED not in fates):
        return Fate.REFUSED
    return Fate.SWALLOWED


def _fate_in_call(info: ClassInfo, index: int, target: Target, key: str, values: Mapping[str, Any], depth: int) -> Fate:
    if key in target.given:
        return Fate.REFUSED
    led = _follow(info, index, target)
    if led is None:
        return Fate.UNKNOWN
    return _fate(led[0], led[1], key, max(target.positional, 0), values, depth + 1)


def _fate_in_config(info: ClassInfo, delegate: Delegate, key: str, values: Mapping[str, Any], depth: int) -> Fate:
    if key in delegate.given:
        return Fate.REFUSED
    other = _delegated(info, delegate, values)
    return Fate.UNKNOWN if other is None else _fate(other, 0, key, 0, values, depth + 1)


def _delegated(info: ClassInfo, delegate: Delegate, values: Mapping[str, Any]) -> ClassInfo | None:
    name = values.get(delegate.parameter)
    if name is None:
        for record in info.ancestors:
            for parameter in (record.parameters or ()) if record is not None else ():
                if parameter.name == delegate.parameter and name is None:
                    name = parameter.default
    if not isinstance(name, str):
        return None
    return info.find(name, info.registry) or info.find(name, "model")


def _effective(
    info: ClassInfo, start: int, positional: int, passed: frozenset[str], depth: int
) -> dict[str, Parameter]:
    index, record, parameters = _constructor(info, start)
    if record is None or parameters is None or depth > _DEEPEST_CHAIN:
        return {}
    _, left = _split(parameters, positional)
    by_name = {parameter.name: parameter for parameter in left if parameter.name not in passed}
    flow = record.flow
    if flow is None:
        return by_name
    for name in flow.reads:
        if name not in passed:
            by_name.setdefault(name, Parameter(name, Kind.KEYWORD_ONLY, UNKNOWN_DEFAULT, None, origin=record.dotted))
    taken = passed | {p.name for p in parameters} | set(flow.sets)
    for target in flow.targets:
        led = _follow(info, index, target)
        if led is None:
            continue
        inner = _effective(led[0], led[1], max(target.positional, 0), taken | set(target.given), depth + 1)
        for name, parameter in inner.items():
            if parameter.default is REQUIRED and (target.conditional or target.positional == -1):
                parameter = parameter._replace(default=UNKNOWN_DEFAULT)
            if name not in by_name:
                by_name[name] = parameter
            elif by_name[name].default is UNKNOWN_DEFAULT and by_name[name].origin == record.dotted:
                by_name[name] = parameter  # looked up here, declared by a parent
    return by_name
