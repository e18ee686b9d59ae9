"""What can be written in a study file, told from the JSON Schema of studies and the lines above the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from provecfg.editor.classes import Suggestion

_LINE: Final = re.compile(r"^(?P<indent>\s*)(?P<item>(?:-\s+)*)(?:(?P<key>[\w-]+)\s*:(?:\s+(?P<value>.*))?)?")


def study_suggestions(text: str, row: int, column: int, schema: Mapping[str, Any]) -> Iterator[Suggestion]:
    """Fields and values that can be written in a study where the cursor stands.

    Args:
        text: The study, being typed.
        row: Line of the cursor, from 0.
        column: Characters before it in its line.
        schema: The JSON Schema of studies.
    """
    lines = text.split("\n")
    line = lines[row][:column] if row < len(lines) else ""
    path, is_value = _path(lines[:row], line)
    for part in _parts(schema, path, schema):
        if is_value:
            yield from (Suggestion(str(name), "") for name in _names(part, schema))
        else:
            for name, field in part.get("properties", {}).items():
                yield Suggestion(name, field.get("description", ""), name in part.get("required", ()))
            yield from (Suggestion(str(name), "") for name in _names(part, schema))


def field_description(text: str, row: int, schema: Mapping[str, Any]) -> str | None:
    """What the schema says of the field that a line of a study sets."""
    lines = text.split("\n")
    match = _LINE.match(lines[row]) if row < len(lines) else None
    if match is None or match["key"] is None:
        return None
    path, _ = _path(lines[:row], f"{match['indent']}{match['item']}{match['key']}: ")
    return next((part["description"] for part in _parts(schema, path, schema) if "description" in part), None)


def _path(above: list[str], line: str) -> tuple[tuple[str, ...], bool]:
    """Keys that lead to the cursor, and whether it is in the value of the last one."""
    match = _LINE.match(line)
    assert match is not None
    depth = len(match["indent"]) + len(match["item"])
    keys: list[str] = []
    for earlier in reversed(above):
        outer = _LINE.match(earlier)
        if outer is None or outer["key"] is None:
            continue
        its_depth = len(outer["indent"]) + len(outer["item"])
        is_list = bool(match["item"]) and its_depth <= len(match["indent"])
        if its_depth < depth or (is_list and not keys and its_depth <= len(match["indent"])):
            keys.insert(0, outer["key"])
            depth = its_depth
            if depth == 0:
                break
    if match["key"] is not None and match["value"] is not None:
        return (*keys, match["key"]), True
    return tuple(keys), bool(match["item"]) and match["key"] is None


def _parts(part: Mapping[str, Any], path: tuple[str, ...], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The parts of the schema that hold at a path; several where a value may be of several kinds."""
    for alternative in _alternatives(part, schema):
        if not path:
            yield alternative
        elif path[0] in alternative.get("properties", {}):
            yield from _parts(alternative["properties"][path[0]], path[1:], schema)


def _alternatives(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A part, its references followed, and those of its unions and items."""
    yield part
    if "$ref" in part:
        yield from _alternatives(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    for inner in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _alternatives(inner, schema)
    if isinstance(part.get("items"), Mapping):
        yield from _alternatives(part["items"], schema)


def _names(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from part.get("enum", ())
    if "const" in part:
        yield part["const"]
    if part.get("type") == "boolean":
        yield from ("true", "false")
