"""The text of a config file, and where in it something stands.

Positions come as the syntax tree gives them: lines from 1, columns in UTF-8 bytes from 0, in the text *after*
mmengine's `{{...}}` substitution. A `Span` is what people see: characters from 1, in the file as it is on
disk.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from provecfg.findings import Span

Position = tuple[int, int, int, int]
"""Line and column of a start and of an end, exclusive: lines from 1, columns in UTF-8 bytes from 0. A plain tuple,
because there is one for every key and value."""


class Located(Protocol):
    """A node of the syntax tree that has a position."""

    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


def position_of(node: Located) -> Position:
    """Where a node stands."""
    end_row, end_column = node.end_lineno, node.end_col_offset
    if end_row is None or end_column is None:
        end_row, end_column = node.lineno, node.col_offset
    return (node.lineno, node.col_offset, end_row, end_column)


def key_position(keyword: ast.keyword) -> Position:
    """Where the name of `name=value` stands."""
    row, column = keyword.lineno, keyword.col_offset
    name = keyword.arg or ""
    return (row, column, row, column + (len(name) if name.isascii() else len(name.encode())))


class Replacement(NamedTuple):
    """`old` characters [start, end) of one text became `new` characters [start, end) of the next."""

    new_start: int
    new_end: int
    old_start: int
    old_end: int


@dataclass(frozen=True, slots=True, eq=False)
class SourceFile:
    """One file that was read.

    Args:
        path: Absolute.
        text: As on disk, newlines made `\\n`.
        parsed: What was parsed: `text` after substitution (the same object where nothing was substituted).
        passes: For each substitution pass in order, its replacements in text order.
    """

    path: Path
    text: str
    parsed: str
    passes: tuple[tuple[Replacement, ...], ...] = ()
    _line_starts: list[int] = field(default_factory=list, init=False, repr=False)
    _parsed_line_starts: list[int] = field(default_factory=list, init=False, repr=False)

    def span(self, position: Position) -> Span:
        """Where `position` is in the file on disk."""
        start = self._offset(position[0], position[1])
        end = self._offset(position[2], position[3])
        for replacements in reversed(self.passes):
            start = _before(start, replacements, at_end=False)
            end = _before(end, replacements, at_end=True)
        return Span(*self.row_and_column(start), *self.row_and_column(max(start, end)))

    def row_and_column(self, offset: int) -> tuple[int, int]:
        """The line and column, both from 1, of a character offset in `text`."""
        starts = _starts(self.text, self._line_starts)
        row = bisect_right(starts, offset)
        return row, offset - starts[row - 1] + 1

    def _offset(self, row: int, byte: int) -> int:
        starts = _starts(self.parsed, self._parsed_line_starts)
        if row < 1:
            return 0
        if row > len(starts):
            return len(self.parsed)
        begin = starts[row - 1]
        end = starts[row] if row < len(starts) else len(self.parsed)
        line = self.parsed[begin:end]
        if not line.isascii():
            byte = len(line.encode("utf-8", "surrogatepass")[:byte].decode("utf-8", "ignore"))
        return min(begin + max(byte, 0), end)


def _starts(text: str, starts: list[int]) -> list[int]:
    if not starts:
        starts.append(0)
        position = text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = text.find("\n", position + 1)
    return starts


def _before(offset: int, replacements: tuple[Replacement, ...], *, at_end: bool) -> int:
    """The offset before a pass of what is at `offset` after it; in a replacement, its start or end."""
    index = bisect_right(replacements, offset, key=lambda r: r.new_start) - 1
    if index < 0:
        return offset
    last = replacements[index]
    if at_end and offset == last.new_start:
        # An end that touches the replacement's start lies before it.
        return last.old_start
    if offset >= last.new_end and not (at_end and offset == last.new_end):
        return offset - last.new_end + last.old_end
    return last.old_end if at_end else last.old_start
