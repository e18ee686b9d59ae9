"""Assignment: to names, to items and attributes, and to several at once."""

from __future__ import annotations

import ast
from typing import Any

from provecfg.mmconfig.effects import (
    bindings,
    changed_names,
    functions_in,
    imports_all,
    loaded_names,
    outer_names,
    reaches_all,
    size_of_syntax,
)
from provecfg.mmconfig.functions import items_of, key_of
from provecfg.mmconfig.methods import hooked
from provecfg.mmconfig.reader import Reader, python_name
from provecfg.mmconfig.sizes import SCALARS
from provecfg.mmconfig.source import Position, position_of
from provecfg.mmconfig.special import Iterated, LocalFunction, LocalScope, NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigList, Opaque, Origin

IN_DOUBT = "something that is not run may have changed it"
_CHANGED_LATER = "a function that is not run may change it"


class Assignment(Reader):
    """Assigns values to what stands on the left side of `=`, `for` and the like."""

    def assign(
        self, target: ast.expr, value: Any, origin: Origin | None = None, value_node: ast.expr | None = None
    ) -> None:
        """`target = value`.

        Args:
            target: The left side.
            value: The right side's value.
            origin: Where the value was written, if it is part of another.
            value_node: The right side.

        Raises:
            NotKnownError, and what the assignment raises: As `evaluate`.
        """
        if not isinstance(target, (ast.Tuple, ast.List)):
            value = self.kept(value)
        if isinstance(target, ast.Name):
            if self.scopes:
                self.scopes[-1][target.id] = value
            else:
                if self.all_unknowable or target.id in self.unknowable:
                    self.doubt(value)
                    value = Opaque(_CHANGED_LATER)
                self.variables.put(target.id, value, self._origin(position_of(target), origin, value_node))
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, value_node)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, origin, value_node)
        elif isinstance(target, ast.Subscript):
            self._assign_item(target, value, origin, value_node)
        elif isinstance(target, ast.Attribute):
            self._assign_attribute(target, value, origin, value_node)
        else:
            raise NotKnownError("a target of assignment that is not read")

    def _origin(self, key: Position, origin: Origin | None, value_node: ast.expr | None) -> Origin:
        if origin is not None:
            return Origin(origin.source, key if origin.source is self.source else origin.key, origin.value)
        return Origin(self.source, key, key if value_node is None else position_of(value_node))

    def _unpack(self, target: ast.Tuple | ast.List, value: Any, value_node: ast.expr | None) -> None:
        names = target.elts
        if isinstance(value, Opaque):
            for name in names:
                self.assign(name, value, None, value_node)
            return
        items, origins = items_of(value, self)
        starred = next((i for i, name in enumerate(names) if isinstance(name, ast.Starred)), None)
        if starred is None:
            if len(items) != len(names):
                few = "not enough values" if len(items) < len(names) else "too many values"
                raise ValueError(f"{few} to unpack (expected {len(names)}, got {len(items)})")
        else:
            after = len(names) - starred - 1
            if len(items) < len(names) - 1:
                raise ValueError(f"not enough values to unpack (expected at least {len(names) - 1})")
            stop = len(items) - after
            rest = ConfigList(items[starred:stop], origins[starred:stop])
            items = [*items[:starred], rest, *items[stop:]]
            origins = [*origins[:starred], None, *origins[stop:]]
        for name, item, origin in zip(names, items, origins, strict=True):
            self.assign(name, item, origin, value_node)

    def _assign_item(
        self, target: ast.Subscript, value: Any, origin: Origin | None, value_node: ast.expr | None
    ) -> None:
        container = self.known(self.evaluate(target.value))
        if isinstance(target.slice, ast.Slice):
            raise NotKnownError("an assignment to a slice")
        index = self.known(self.evaluate(target.slice))
        written = self._origin(position_of(target.slice), origin, value_node)
        if isinstance(container, ConfigDict):
            self.put(container, key_of(index, self), value, written)
        elif isinstance(container, ConfigList):
            container[index] = value
            container.origins[index] = Origin(written.source, None, written.value)
        elif isinstance(container, (*SCALARS, tuple, set)):
            raise TypeError(f"{python_name(container)!r} object does not support item assignment")
        else:
            raise NotKnownError("an assignment into a value that is not known")

    def _assign_attribute(
        self, target: ast.Attribute, value: Any, origin: Origin | None, value_node: ast.expr | None
    ) -> None:
        container = self.known(self.evaluate(target.value))
        if isinstance(container, ConfigDict) and container.by_attribute:
            self.put(container, target.attr, value, self._origin(position_of(target), origin, value_node))
        elif isinstance(container, (*SCALARS, dict, list, tuple, set)):
            raise AttributeError(f"{python_name(container)!r} object has no attribute {target.attr!r}")
        else:
            raise NotKnownError("an assignment into a value that is not known")

    # What is not run

    def kept(self, value: Any) -> Any:
        """`value` as something to come back to: an iterator is used up by then, and what is in doubt is opaque."""
        if isinstance(value, Iterated):
            self._expose(value)
            return Opaque("an iterator")
        if self.doubtful and id(value) in self.doubtful:
            return Opaque(IN_DOUBT)
        return value

    def forget(self, node: ast.AST, reason: str) -> None:
        """Note that a piece is not run: what it may bind or change is not known from here on."""
        self.budget.spend(4 * size_of_syntax(node) + len(self.seen_later) + len(self.unknowable))
        changed, loaded = self._changed_and_loaded(node)
        for function in functions_in(node):
            self.unknowable |= changed_names(function) | outer_names(function)
            self.seen_later |= loaded_names(function)
            self.all_unknowable |= reaches_all(function)
        changed_values = list(map(self.lookup, changed | self.unknowable))
        for name in loaded | self.seen_later:
            self._expose(self.lookup(name))
        if reaches_all(node):
            changed_values += self.variables.values()
        for name, binding in bindings(node):
            self._forget_name(ast.copy_location(ast.Name(name, ast.Store()), binding), reason)
        for value in changed_values:
            self.doubt(value)
        binds_any = imports_all(node) or reaches_all(node)
        self.binds_any |= binds_any
        forgotten = self.variables if binds_any else self.unknowable
        for name in forgotten & self.variables.keys():
            self.variables[name] = Opaque(reason if forgotten is self.variables else _CHANGED_LATER)

    def _changed_and_loaded(self, node: ast.AST) -> tuple[set[str], set[str]]:
        """The names whose values a piece may change, and those that it reads, in the functions that it calls, too."""
        changed, loaded = changed_names(node), loaded_names(node)
        pending = set(loaded)
        seen: set[int] = set()
        while pending:
            # A function that it only hands on may be called, too.
            function = self.lookup(pending.pop())
            if isinstance(function, LocalFunction) and id(function) not in seen:
                seen.add(id(function))
                for part in function.body if isinstance(function.body, list) else [function.body]:
                    self.budget.spend(2 * size_of_syntax(part))
                    changed |= changed_names(part)
                    pending |= loaded_names(part)
                    loaded |= loaded_names(part)
        return changed, loaded

    def _expose(self, value: Any) -> None:
        """Note that something that is not known may be another name of `value`, or of a part of it."""
        if isinstance(value, (dict, list, tuple, set)):
            self.exposed[id(value)] = value

    def _forget_name(self, target: ast.Name, reason: str) -> None:
        for scope in reversed(self.scopes):
            scope[target.id] = Opaque(reason)
            if isinstance(scope, LocalScope):
                return  # not of a comprehension, in which `:=` binds a name outside
        scopes, self.scopes = self.scopes, ()
        self.assign(target, Opaque(reason))
        self.scopes = scopes

    def doubt(self, value: Any) -> None:
        """Note that a container, and what is in it, may not be any more what it was."""
        pending = [value]
        while pending:
            container = pending.pop()
            if isinstance(container, Opaque):  # it may be another name of any of these
                pending += self.exposed.values()
                self.exposed.clear()
            if not isinstance(container, (dict, list, tuple, set)) or id(container) in self.doubtful:
                continue
            self.budget.spend(1 + len(container))
            if not isinstance(container, tuple):
                self.doubtful[id(container)] = container
            pending += container.values() if isinstance(container, dict) else container

    def put(self, container: ConfigDict, key: Any, value: Any, origin: Origin | None) -> None:
        """`container[key] = value`."""
        container.put(key, hooked(value, self) if container.by_attribute else value, origin)
