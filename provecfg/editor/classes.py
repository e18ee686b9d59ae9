"""What can be written in a config, and what it means: classes and their arguments, for completion and hover."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from provecfg.editor.cursor import Cursor
from provecfg.facts.typed import Typed, typed_nodes
from provecfg.mmconfig import ConfigView
from provecfg.mmconfig.view import Node
from provecfg.registry import ClassInfo, Registry
from provecfg.registry.builders import ALWAYS_TAKEN, SUPPLIED
from provecfg.registry.layout import SCOPES, TOP_LEVEL
from provecfg.registry.lookup import registry_for
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Parameter

_UNNAMED: Final = "?"
"""Stands for a type of which nothing is typed yet: a dict without one has no registry."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that can be written at the cursor.

    Args:
        text: What is written.
        detail: In a few words, what it is.
        is_required: Whether it cannot be left out.
    """

    text: str
    detail: str = ""
    is_required: bool = False


def suggestions(cursor: Cursor, view: ConfigView | None) -> Iterator[Suggestion]:
    """What can be written in a config where the cursor stands: classes, arguments, top-level keys.

    Args:
        cursor: Where.
        view: The config as it last read, for what its bases say; or None.
    """
    if cursor.in_text:
        yield from _texts(cursor, view)
    elif isinstance(cursor.around, dict) and cursor.key is None:
        if not cursor.path:
            yield from (Suggestion(key, "top-level key") for key in TOP_LEVEL if key not in cursor.root)
            return
        yield from _arguments(cursor, view)


def class_at(cursor: Cursor, view: ConfigView | None) -> ClassInfo | None:
    """The class of the dict that the cursor is in, as the dict or a base names it; None if it is not known."""
    typed = _typed(cursor, view)
    registry = _registry(view)
    if typed is None or typed.node.value["type"] == _UNNAMED:
        return None
    scope = typed.node.value.get("_scope_")
    return registry.find(typed.node.value["type"], typed.registry, scope=scope if isinstance(scope, str) else None)


def signature(info: ClassInfo) -> str:
    """A class as Python would write its signature, a parameter a line."""
    lines = [f"    {parameter_text(parameter)}," for parameter in info.parameters.values()]
    return "\n".join([f"{info.record.name}(", *lines, ")"]) if lines else f"{info.record.name}()"


def parameter_text(parameter: Parameter) -> str:
    """A parameter as Python writes it: name, annotation, default."""
    annotation = f": {parameter.annotation}" if parameter.annotation else ""
    if parameter.default is REQUIRED:
        return f"{parameter.name}{annotation}"
    default = "..." if parameter.default is UNKNOWN_DEFAULT else repr(parameter.default)
    return f"{parameter.name}{annotation}{' = ' if annotation else '='}{default}"


def _texts(cursor: Cursor, view: ConfigView | None) -> Iterator[Suggestion]:
    if cursor.key == "default_scope" and not cursor.path:
        yield from (Suggestion(scope, library) for scope, library in SCOPES.items())
    elif cursor.key == "type":
        typed = _typed(cursor, view)
        if typed is not None:
            registry = _registry(view)
            for name in dict.fromkeys(registry.names(typed.registry)):
                yield Suggestion(name, typed.registry)


def _arguments(cursor: Cursor, view: ConfigView | None) -> Iterator[Suggestion]:
    assert isinstance(cursor.around, dict)
    info = class_at(cursor, view)
    if info is None:
        if "type" not in cursor.around:
            yield Suggestion("type", "the class", is_required=True)
        return
    supplied = SUPPLIED.get(info.registry, frozenset())
    if "type" not in cursor.around:
        yield Suggestion("type", info.type_name)
    for name, parameter in info.parameters.items():
        if name not in cursor.around and name not in supplied and name not in ALWAYS_TAKEN and parameter.by_keyword:
            yield Suggestion(name, parameter_text(parameter), parameter.is_required)


def _typed(cursor: Cursor, view: ConfigView | None) -> Typed | None:
    """The dict around the cursor, with the type that it or the dict of the bases in its place has."""
    around = cursor.around
    if not isinstance(around, dict):
        return None
    inherited = view.dig(cursor.dotted) if view is not None and cursor.path else None
    known = inherited.value.get("type") if inherited is not None and isinstance(inherited.value, dict) else None
    if cursor.in_text and cursor.key == "type":
        known = None
    elif isinstance(around.get("type"), str):
        known = around["type"]
    marked = {**around, "type": str(known) if isinstance(known, str) else _UNNAMED}
    root = _with(cursor.root, cursor.path, marked)
    return next((typed for typed in typed_nodes(Node(root, None, None)) if typed.node.value is marked), None)


def _with(value: object, path: tuple[str | int, ...], marked: dict[str, object]) -> object:
    """The values with one dict in place of what stands at a path."""
    if not path:
        return marked
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, step: _with(value.get(step), rest, marked)}
    if isinstance(value, list) and isinstance(step, int):
        return [_with(item, rest, marked) if index == step else item for index, item in enumerate(value)]
    return marked if not rest else value


def _registry(view: ConfigView | None) -> Registry:
    return registry_for(view) if view is not None else registry_for(())
