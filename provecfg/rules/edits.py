"""Edits of a config's own text, for fixes: exact spans, everything else untouched.

Each function returns the edits, or () where the text does not say the value plainly: a value that is computed or
named elsewhere is left to its author.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from provecfg.facts.model import Loss
from provecfg.findings import Applicability, Edit, Fix, Span
from provecfg.mmconfig import Node
from provecfg.mmconfig.source import SourceFile

_BLANK = re.compile(r"[ \t]*")
_TO_COMMA = re.compile(r"\s*,")


def fix(message: str, edits: tuple[Edit, ...], *, safe: bool) -> Fix | None:
    """A fix out of edits, or None where there are none.

    Args:
        message: What applying it does, an imperative.
        edits: All are made, or none.
        safe: See `Applicability`. A fix that only takes something out never is.
    """
    if not edits:
        return None
    keeps_all = any(edit.text for edit in edits)
    return Fix(message, Applicability.SAFE if safe and keeps_all else Applicability.UNSAFE, edits)


def argument_set(loss: Loss, name: str, value: Any, message: str, *, safe: bool) -> Fix | None:
    """A fix that sets an argument of a loss; None for one that its head has by default, which stands in no file."""
    return None if loss.is_default else fix(message, put(loss.node, name, value), safe=safe)


def replaced(node: Node, value: Any) -> tuple[Edit, ...]:
    """Write another plain value where the node's literal stands."""
    origin = node.origin
    if origin is None:
        return ()
    span = origin.span
    old = text_under(origin.source, span)
    if not _is_literal_of(old, node.value, origin.source) or not _is_plain(value):
        return ()
    return (Edit(origin.source.path, span, _written(value, origin.source, quote=old[:1]), (node.key,)),)


def renamed(node: Node, name: str) -> tuple[Edit, ...]:
    """Give a dict's key another name."""
    origin = node.origin
    if origin is None or origin.key is None:
        return ()
    span = origin.key_span
    old = text_under(origin.source, span)
    quote = old[:1] if old[:1] in "'\"" else ""
    if old.strip("'\"") != node.step:
        return ()
    return (Edit(origin.source.path, span, f"{quote}{name}{quote}", (node.key, _sibling(node, name))),)


def removed(node: Node) -> tuple[Edit, ...]:
    """Take an item and the comma after it out of a dict."""
    origin = node.origin
    if origin is None or origin.key is None or origin.source.path.suffix != ".py" or _is_top(node):
        return ()
    source, key, value = origin.source, origin.key_span, origin.span
    start, end = _offset(source.text, key.row, key.column), _offset(source.text, value.end_row, value.end_column)
    if end < start:
        return ()
    text = source.text
    if comma := _TO_COMMA.match(text, end):
        end = comma.end()
        end += len(_BLANK.match(text, end)[0])  # type: ignore[index]  # matches always
        line_start = text.rfind("\n", 0, start) + 1
        if text[line_start:start].strip() == "" and text[end : end + 1] == "\n":
            start, end = line_start, end + 1
    else:
        before = re.search(r",\s*$", text[:start])
        if before:
            start = before.start()
    return (Edit(source.path, Span(*source.row_and_column(start), *source.row_and_column(end)), "", (node.key,)),)


def added(after: Node, name: str, value: Any) -> tuple[Edit, ...]:
    """Write a new item of a dict behind another one."""
    origin = after.origin
    if origin is None or origin.key is None or origin.source.path.suffix != ".py" or _is_top(after):
        return ()
    if not _is_plain(value):
        return ()
    source, span = origin.source, origin.span
    literal = text_under(source, origin.key_span)[:1]
    item = f"{name}={value!r}" if literal not in ("'", '"') else f"{literal}{name}{literal}: {value!r}"
    behind = Span(span.end_row, span.end_column, span.end_row, span.end_column)
    return (Edit(source.path, behind, f", {item}", (_sibling(after, name),)),)


def put(holder: Node, name: str, value: Any) -> tuple[Edit, ...]:
    """Set an item of a dict: in place where the dict's text says it, behind the `type` where nothing does."""
    present = holder.get(name)
    if present is not None:
        return replaced(present, value)
    anchor = holder.get("type") or next((child for child in holder if child.origin is not None), None)
    if anchor is None or holder.origin is None or anchor.file != holder.file:
        return ()
    return added(anchor, name, value)


def moved(node: Node, home: Node) -> tuple[Edit, ...]:
    """Take an item out of its dict and set it in another one of the same file."""
    removal, insertion = removed(node), put(home, node.name, node.value)
    if not removal or not insertion or removal[0].filename != insertion[0].filename:
        return ()
    return (*removal, *insertion)


def _is_plain(value: Any) -> bool:
    """Whether `repr` gives the value back: no class, and nothing that only running would tell."""
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)


def _sibling(node: Node, name: str) -> str:
    """The dotted path of another item of the dict that a node is in."""
    parent = node.parent.key if node.parent is not None else ""
    return f"{parent}.{name}" if parent else name


def _is_top(node: Node) -> bool:
    return node.parent is None or node.parent.parent is None


def text_under(source: SourceFile, span: Span) -> str:
    """The text that a span covers."""
    lines = source.text.split("\n")
    if span.row == span.end_row:
        return lines[span.row - 1][span.column - 1 : span.end_column - 1]
    first, last = lines[span.row - 1][span.column - 1 :], lines[span.end_row - 1][: span.end_column - 1]
    return "\n".join([first, *lines[span.row : span.end_row - 1], last])


def _offset(text: str, row: int, column: int) -> int:
    start = 0
    for _ in range(row - 1):
        start = text.index("\n", start) + 1
    return start + column - 1


def _is_literal_of(text: str, value: Any, source: SourceFile) -> bool:
    """Whether the text is a literal of the value."""
    if source.path.suffix == ".py":
        try:
            literal = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return False
        return type(literal) is type(value) and bool(literal == value)
    return text.strip("'\" ") == str(value) or text == json.dumps(value)


def _written(value: Any, source: SourceFile, quote: str) -> str:
    if source.path.suffix != ".py":
        return json.dumps(value)
    text = repr(value)
    if isinstance(value, str) and quote == '"' and '"' not in value and "\\" not in text:
        return f'"{value}"'
    return text
