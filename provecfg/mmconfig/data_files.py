"""Configs in JSON and YAML, with the position of every key and value."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provecfg.mmconfig.budget import MAX_NESTING, MAX_WORK, Budget, LimitError
from provecfg.mmconfig.sizes import size_of
from provecfg.mmconfig.source import Position, SourceFile
from provecfg.mmconfig.special import BaseReference
from provecfg.mmconfig.values import ConfigDict, ConfigList, Opaque, Origin

Unread = tuple[str, Position]
"""Why a value is opaque, and where it stands."""


class DataError(Exception):
    """The text is not JSON or YAML.

    Args:
        message: What is wrong.
        position: Where, in the parsed text.
    """

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class _Lines:
    """Character offsets of a text as places."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.is_ascii = text.isascii()

    def position(self, start: int, end: int) -> Position:
        return (*self._at(start), *self._at(end))

    def _at(self, offset: int) -> tuple[int, int]:
        row = bisect_right(self._starts, offset)
        start = self._starts[row - 1]
        column = offset - start if self.is_ascii else len(self._text[start:offset].encode("utf-8", "replace"))
        return row, column


def read_json(source: SourceFile, references: dict[str, str], budget: Budget) -> Any:
    """The value of a JSON text.

    Raises:
        DataError: It is not JSON.
        LimitError: It is too deep or too large.
    """
    return _JsonReader(source, references, budget).read()


_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_CONSTANT = re.compile(r"null|true|false|NaN|Infinity|-Infinity")
_CONSTANTS = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


class _JsonReader:
    def __init__(self, source: SourceFile, references: dict[str, str], budget: Budget) -> None:
        self._source = source
        self._text = source.parsed
        self._references = references
        self._budget = budget
        self._lines = _Lines(source.parsed)

    def read(self) -> Any:
        value, end = self._value(self._skip(0), MAX_NESTING)
        if self._skip(end) != len(self._text):
            raise self._error("extra text after the value", self._skip(end))
        return value

    def _skip(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return match.end() if match else at

    def _error(self, message: str, at: int) -> DataError:
        return DataError(message, self._lines.position(at, min(at + 1, len(self._text))))

    def _value(self, at: int, levels: int) -> tuple[Any, int]:
        self._budget.spend(3)
        if levels == 0:
            raise LimitError("it is nested too deeply")
        first = self._text[at : at + 1]
        if first == "{":
            return self._object(at + 1, levels)
        if first == "[":
            return self._array(at + 1, levels)
        if first == '"':
            text, end = self._string(at)
            if text in self._references:
                return BaseReference(self._references[text]), end
            return text, end
        if match := _CONSTANT.match(self._text, at):
            return _CONSTANTS[match[0]], match.end()
        if match := _NUMBER.match(self._text, at):
            try:
                number = float(match[0]) if match[1] or match[2] else int(match[0])
            except ValueError:
                raise LimitError("a number is too large") from None
            return number, match.end()
        raise self._error("a value is expected here", at)

    def _string(self, at: int) -> tuple[str, int]:
        try:
            text, end = json.decoder.scanstring(self._text, at + 1, True)  # type: ignore[attr-defined]
        except json.JSONDecodeError as error:
            raise self._error(error.msg, error.pos) from None
        return text, end

    def _object(self, at: int, levels: int) -> tuple[ConfigDict, int]:
        made = ConfigDict()
        at = self._skip(at)
        if self._text[at : at + 1] == "}":
            return made, at + 1
        while True:
            if self._text[at : at + 1] != '"':
                raise self._error("a key in double quotes is expected here", at)
            key, key_end = self._string(at)
            colon = self._skip(key_end)
            if self._text[colon : colon + 1] != ":":
                raise self._error("':' is expected here", colon)
            start = self._skip(colon + 1)
            value, end = self._value(start, levels - 1)
            origin = Origin(self._source, self._lines.position(at, key_end), self._lines.position(start, end))
            made.put(key, value, origin)
            at = self._skip(end)
            if self._text[at : at + 1] == "}":
                return made, at + 1
            if self._text[at : at + 1] != ",":
                raise self._error("',' or '}' is expected here", at)
            at = self._skip(at + 1)

    def _array(self, at: int, levels: int) -> tuple[ConfigList, int]:
        made = ConfigList()
        at = self._skip(at)
        if self._text[at : at + 1] == "]":
            return made, at + 1
        while True:
            value, end = self._value(at, levels - 1)
            made.append(value)
            made.origins.append(Origin(self._source, None, self._lines.position(at, end)))
            at = self._skip(end)
            if self._text[at : at + 1] == "]":
                return made, at + 1
            if self._text[at : at + 1] != ",":
                raise self._error("',' or ']' is expected here", at)
            at = self._skip(at + 1)


def read_yaml(source: SourceFile, references: dict[str, str], budget: Budget, unread: list[Unread]) -> Any:
    """The value of a YAML text. Tags that would make Python objects give opaque values, and are added to `unread`.

    Raises:
        DataError: It is not YAML, or holds several documents.
        LimitError: It is too deep or too large.
    """
    return _YamlReader(source, references, budget, unread).read()


@dataclass(frozen=True, slots=True)
class PlainYaml:
    """What a YAML text holds that is no config.

    Args:
        source: The text.
        value: Dicts and lists with the position of every key and value (see `values.origin_of`), and leaves.
        repeated: Keys that stand twice in a mapping, of which the last counts, with that mapping.
    """

    source: SourceFile
    value: Any
    repeated: Sequence[tuple[ConfigDict, Any]]


def read_plain_yaml(text: str, path: Path, loader: Any = None, *, work: int = MAX_WORK) -> PlainYaml:
    """Read a YAML text under the limits of a config's, aliases written out: text, numbers, booleans and null.

    Args:
        text: As `files.read_text` gives it.
        path: Where it stands.
        loader: PyYAML's loader class whose rules tell numbers from text; that of YAML 1.1 unless given.
        work: What reading may cost, in units of `budget`.

    Raises:
        DataError: It is not YAML, is too large or too deep, contains itself, or has values of another kind.
    """
    source = SourceFile(path, text, text)
    unread: list[Unread] = []
    try:
        reader = _YamlReader(source, {}, Budget(work), unread, loader, _JSON_TAGS)
        value = reader.read()
        size_of(value)
    except LimitError as limit:
        raise DataError(limit.what, (1, 0, 1, 0)) from None
    if unread:
        raise DataError(*unread[0])
    return PlainYaml(source, value, reader.repeated)


_MERGE = "tag:yaml.org,2002:merge"
_LONGEST_NUMBER = 1_000
"""Characters; those of base 60 take time with the square of their length."""
_NUMBERS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float"))
_JSON_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp", "binary")
)


class _YamlReader:
    """Builds values from PyYAML's events: its composer recurses in C, events do not."""

    def __init__(
        self,
        source: SourceFile,
        references: dict[str, str],
        budget: Budget,
        unread: list[Unread],
        loader: Any = None,
        tags: frozenset[str] | None = None,
    ) -> None:
        import yaml

        self._yaml = yaml
        self._source = source
        self._references = references
        self._budget = budget
        self._lines = _Lines(source.parsed)
        self._unread = unread
        self._anchors: dict[str, Any] = {}
        self._scalars: Any = (loader or yaml.SafeLoader)("")
        self._tags = _PLAIN_TAGS if tags is None else tags
        self.repeated: list[tuple[ConfigDict, Any]] = []
        self._leaves: dict[str, Any] = {}
        """What plain scalars stand for."""
        self._end: Any = None
        try:
            self._events: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(source.parsed)
        except UnicodeEncodeError as error:  # a lone surrogate; files have none, what is typed can
            where = self._lines.position(error.start, error.end)
            raise DataError(f"{source.parsed[error.start]!a} is half of a character", where) from None

    def read(self) -> Any:
        yaml = self._yaml
        value: Any = None
        documents = 0
        try:
            while True:
                event = self._next()
                if isinstance(event, yaml.StreamEndEvent):
                    return value
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise DataError("it holds several documents", self._place(event))
                    value = self._value(self._next(), MAX_NESTING)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            offset = min(mark.index, len(self._source.parsed)) if mark else 0
            end = min(offset + 1, len(self._source.parsed))
            message = error.problem or error.context or "not YAML"
            raise DataError(message, self._lines.position(offset, end)) from None
        except yaml.YAMLError as error:
            raise DataError(str(error).splitlines()[0], self._lines.position(0, 0)) from None
        finally:
            self._events.dispose()

    def _next(self) -> Any:
        self._budget.spend(4)
        return self._events.get_event()

    def _place(self, event: Any, end: Any = None) -> Position:
        first, last = event.start_mark, (end or event).end_mark
        if self._lines.is_ascii:
            return (first.line + 1, first.column, last.line + 1, last.column)
        return self._lines.position(first.index, last.index)

    def _value(self, event: Any, levels: int) -> Any:
        yaml = self._yaml
        if levels == 0:
            raise LimitError("it is nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise DataError(f"the alias {event.anchor!r} has no anchor before it", self._place(event))
            return self._anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(event, levels)
        else:
            value = self._mapping(event, levels)
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.tag is not None or not event.implicit[0]:
            return self._leaf(event)
        if text in self._leaves:
            return self._leaves[text]
        if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) <= _LONGEST_NUMBER:
            return int(text)  # resolving and constructing it takes ten times as long
        leaf = self._leaves[text] = self._leaf(event)
        return leaf

    def _leaf(self, event: Any) -> Any:
        yaml = self._yaml
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in self._tags:
            return event.value if tag == _MERGE else self._opaque(event, tag)
        if event.value in self._references and tag.endswith(":str"):
            return BaseReference(self._references[event.value])
        if tag in _NUMBERS and len(event.value) > _LONGEST_NUMBER:
            raise LimitError("a number is too large")
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            return self._scalars.construct_object(node)
        except (ValueError, ArithmeticError, LookupError, AttributeError):  # what PyYAML raises, by kind
            raise DataError(f"{event.value[:40]!r} is not a {tag.rpartition(':')[2]}", self._place(event)) from None
        finally:
            self._scalars.constructed_objects.clear()

    def _opaque(self, event: Any, tag: str) -> Opaque:
        value = Opaque(f"the YAML tag {tag} is not run")
        self._unread.append((value.reason, self._place(event)))
        return value

    def _sequence(self, event: Any, levels: int) -> Any:
        made = ConfigList()
        if event.anchor:
            self._anchors[event.anchor] = made  # an item may refer to the list it is in
        while not isinstance(event_of_item := self._next(), self._yaml.SequenceEndEvent):
            value, position = self._placed(event_of_item, levels - 1)
            made.append(value)
            made.origins.append(Origin(self._source, None, position))
        self._end = event_of_item
        return made if _is_plain_container(event) else self._opaque(event, event.tag)

    def _mapping(self, event: Any, levels: int) -> Any:
        made = ConfigDict()
        if event.anchor:
            self._anchors[event.anchor] = made
        merged: list[Any] = []
        while not isinstance(key_event := self._next(), self._yaml.MappingEndEvent):
            merges = isinstance(key_event, self._yaml.ScalarEvent) and key_event.value == "<<" and key_event.implicit[0]
            key, key_position = self._placed(key_event, levels - 1)
            value, position = self._placed(self._next(), levels - 1)
            if merges:
                merged.append((value, position))
            elif isinstance(key, (dict, list, Opaque)):
                raise DataError("a key is not a plain value", key_position)
            else:
                if key in made:
                    self.repeated.append((made, key))
                made.put(key, value, Origin(self._source, key_position, position))
        self._end = key_event
        for value, position in merged:
            self._merge(made, value, position)
        return made if _is_plain_container(event) else self._opaque(event, event.tag)

    def _merge(self, target: ConfigDict, value: Any, position: Position) -> None:
        """`<<: *anchor`: keys that the mapping itself does not have."""
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, ConfigDict):
                raise DataError("'<<' takes a mapping or a list of mappings", position)
            self._budget.spend(len(part))
            for key, item in part.items():
                if key not in target:
                    target.put(key, item, part.origins.get(key))

    def _placed(self, event: Any, levels: int) -> tuple[Any, Position]:
        self._end = event
        value = self._value(event, levels)
        return value, self._place(event, self._end)


def _is_plain_container(event: Any) -> bool:
    return event.tag in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
