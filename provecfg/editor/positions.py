"""Files and spans as the Language Server Protocol writes them."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types
from pygls.uris import to_fs_path, urlparse
from pygls.workspace import ServerTextPosition, ServerTextRange, TextDocument

from provecfg.findings import Span

FILE_START = types.Range(types.Position(0, 0), types.Position(0, 0))


def path_of(uri: str) -> Path:
    """The file of a `file:` address; of a document without one, a file of its name that need not exist."""
    path = to_fs_path(uri)
    return Path(path) if path is not None else Path.cwd() / Path(urlparse(uri)[2]).name


def uri_of(path: Path) -> str:
    """The `file:` address of a file."""
    return path.absolute().as_uri()


def range_in(document: TextDocument, span: Span | None) -> types.Range:
    """A span of an open document in its editor's units; of a finding about a whole file, the first line."""
    if span is None:
        return line_range(document, 0)
    start = ServerTextPosition(span.row - 1, span.column - 1)
    end = ServerTextPosition(span.end_row - 1, span.end_column - 1)
    return document.range_to_client_units(ServerTextRange(start, end))


def range_elsewhere(span: Span | None) -> types.Range:
    """A span of a file that is not open, in characters: its text, which the units depend on, is not at hand."""
    if span is None:
        return FILE_START
    return types.Range(
        types.Position(span.row - 1, span.column - 1), types.Position(span.end_row - 1, span.end_column - 1)
    )


def line_range(document: TextDocument, row: int) -> types.Range:
    """A whole line, counted from 0, without its end."""
    lines = document.lines
    text = lines[row].rstrip("\r\n") if row < len(lines) else ""
    return types.Range(types.Position(row, 0), types.Position(row, len(text)))


def is_in(position: types.Position, place: types.Range) -> bool:
    """Whether a position is in a range, or at one of its ends."""
    at = (position.line, position.character)
    return (place.start.line, place.start.character) <= at <= (place.end.line, place.end.character)


def touch(first: types.Range, second: types.Range) -> bool:
    """Whether two ranges have a position in common."""
    return is_in(second.start, first) or is_in(first.start, second)
