"""Assignment: to names, to items and attributes, and to several at once."""

from __future__ import annotations

import ast
from typing import Any

from provecfg.mmconfig.functions import items_of, key_of
from provecfg.mmconfig.methods import hooked
from provecfg.mmconfig.reader import Reader, python_name
from provecfg.mmconfig.sizes import SCALARS
from provecfg.mmconfig.source import Position, position_of
from provecfg.mmconfig.special import NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigList, Opaque, Origin


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
        if isinstance(target, ast.Name):
            if self.scopes:
                self.scopes[-1][target.id] = value
            else:
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

    def put(self, container: ConfigDict, key: Any, value: Any, origin: Origin | None) -> None:
        """`container[key] = value`."""
        container.put(key, hooked(value, self) if container.by_attribute else value, origin)
