"""The user's own classes, as their source says. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from provecfg.registry.classes import ClassRecord
from provecfg.registry.kwargs_flow import OPEN
from provecfg.registry.outline import Module, changed_at
from provecfg.registry.signatures import Parameter, parameters_of
from provecfg.registry.source_reading import (
    class_count,
    constructor_flow,
    dataclass_constructor,
    defines_loss_name,
    is_dataclass,
    methods_extended,
    names_bound,
    texts_of,
)
from provecfg.registry.syntax import method

_LONGEST_TRAIL = 30
"""Re-exports from module to module that are followed for one name."""

_NO_PARENTS = {"object", "abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Protocol"}


class Unread(NamedTuple):
    """A module that could not be read, so that its classes are not known."""

    module: str
    reason: str


@dataclass(frozen=True)
class UserModules:
    """What was read.

    Args:
        registered: Registry name -> scope -> type name -> dotted name of the class.
        unread: What could not be read.
        files: The files that were read, with the time of their last change in ns.
        modules: By dotted name.
    """

    registered: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    files: Mapping[Path, int] = field(default_factory=dict)
    modules: Mapping[str, Module] = field(default_factory=dict)
    _records: dict[str, ClassRecord | None] = field(default_factory=dict)

    @property
    def is_fresh(self) -> bool:
        """Whether every file is as it was when it was read."""
        return all(changed_at(file) == when for file, when in self.files.items())

    def add(self, record: ClassRecord) -> None:
        """Make a class known that was read before."""
        self._records[record.dotted] = record

    def reads_package(self, name: str) -> bool:
        """Whether a top-level package or module of this name was read."""
        return name in self.modules

    def record(self, dotted: str) -> ClassRecord | None:
        """The class or function of a dotted name, followed through re-exports, or None if it is none of the user's."""
        if dotted not in self._records:
            place = self.definition(dotted)
            try:
                self._records[dotted] = None if place is None else self._read(*place)
            except RecursionError:  # an expression nested too deep, as a default
                self._records[dotted] = None
        return self._records[dotted]

    def definition(self, dotted: str) -> tuple[Module, ast.ClassDef | ast.FunctionDef] | None:
        """The module and the statement that define a dotted name."""
        module, name = self._home(self.meaning(dotted))
        node = None if module is None else module.definitions.get(name)
        return None if module is None or node is None else (module, node)

    def meaning(self, dotted: str) -> str:
        """The dotted name that a name stands for, followed through the imports of the modules that were read."""
        for _ in range(_LONGEST_TRAIL):
            module, name = self._home(dotted)
            if module is None or name in module.definitions:
                break
            head, _, rest = name.partition(".")
            onward = module.imported.get(head) or self._starred(module, head)
            if onward is None or onward == f"{module.name}.{head}":
                break
            dotted = f"{onward}.{rest}" if rest else onward
        return dotted

    def _home(self, dotted: str) -> tuple[Module | None, str]:
        module, _, name = dotted.rpartition(".")
        while module:
            if module in self.modules:
                return self.modules[module], name
            module, _, last = module.rpartition(".")
            name = f"{last}.{name}"
        return None, dotted

    def _starred(self, module: Module, name: str) -> str | None:
        seen: set[str] = set()
        waiting = [module]
        while waiting:
            for starred in waiting.pop().starred:
                other = self.modules.get(starred)
                if other is None or starred in seen:
                    continue
                seen.add(starred)
                if name in other.definitions or name in other.imported:
                    return f"{starred}.{name}"
                waiting.append(other)
        return None

    def _read(self, module: Module, node: ast.ClassDef | ast.FunctionDef) -> ClassRecord:
        dotted = f"{module.name}.{node.name}"
        if isinstance(node, ast.FunctionDef):
            return ClassRecord(
                module=module.name,
                name=node.name,
                bases=None,
                parameters=parameters_of(node.args, origin=dotted, skip_first=False),
                flow=constructor_flow(node, None, module.resolve),
                file=module.file,
                row=node.lineno,
            )
        bases = tuple(name for base in node.bases if (name := module.base_name(base, of=node.name)) not in _NO_PARENTS)
        constructor = method(node, "__init__")
        flow = None
        if constructor is not None:
            flow = constructor_flow(constructor, node, module.resolve)
        elif is_dataclass(node):
            constructor = dataclass_constructor(node)
            flow = OPEN if bases else None
        forward = method(node, "forward")
        return ClassRecord(
            module=module.name,
            name=node.name,
            bases=bases,
            parameters=_own(constructor, dotted),
            flow=flow,
            forward=_own(forward, dotted),
            has_loss_name=defines_loss_name(node),
            file=module.file,
            row=node.lineno,
            own_names=names_bound(node),
            extended=methods_extended(node),
            texts=texts_of(node),
            class_count=class_count(node),
        )


def _own(function: ast.FunctionDef | None, origin: str) -> tuple[Parameter, ...] | None:
    return None if function is None else parameters_of(function.args, origin=origin, skip_first=True)
