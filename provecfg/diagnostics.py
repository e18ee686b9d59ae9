"""What every check of provecfg reports: a `Diagnostic`, and the order they are shown in."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Severity(enum.IntEnum):
    """How bad a finding is.

    ERROR: the config fails, or does something other than it declares.
    WARNING: it runs, and is probably not what was meant.
    NOTE: worth knowing; never changes the exit code.
    """

    NOTE = 0
    WARNING = 1
    ERROR = 2

    def __str__(self) -> str:
        return self.name.lower()


class Span(NamedTuple):
    """A stretch of text. Lines and columns count from 1, columns in characters; the end is exclusive."""

    row: int
    column: int
    end_row: int
    end_column: int


class Edit(NamedTuple):
    """Replace the text under `span` in `filename` by `text`; an empty span inserts."""

    filename: Path
    span: Span
    text: str


class Applicability(enum.Enum):
    """SAFE keeps what is trained, UNSAFE changes it."""

    SAFE = "safe"
    UNSAFE = "unsafe"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that belong together: all of them or none are made."""

    message: str
    applicability: Applicability
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Args:
        code: Family and three digits, such as `LOSS003`; never reused.
        name: The code in words, such as `softmax-focal-loss`.
        severity: See `Severity`.
        message: What is wrong, with the value.
        filename: The file that says it; for an inherited value, the base file.
        span: Where in that file, or None for the file as a whole.
        key: Dotted path in the config (`model.decode_head.loss_decode[1].use_sigmoid`), or ''.
        hint: What to do about it.
        fix: The edit that does it, where one is known.
        target: The file that was asked about, where `filename` is one of its bases.
    """

    code: str
    name: str
    severity: Severity
    message: str
    filename: Path
    span: Span | None = None
    key: str = ""
    hint: str | None = None
    fix: Fix | None = field(default=None)
    target: Path | None = None

    @property
    def sort_key(self) -> tuple[str, bool, str, int, int, str, str, str]:
        """File order: by the file asked about, what it says itself before what its bases say, then by place."""
        row, column = (self.span.row, self.span.column) if self.span else (0, 0)
        asked = str(self.target or self.filename)
        of_base = self.target is not None and self.target != self.filename
        return (asked, of_base, str(self.filename), row, column, self.code, self.key, self.message)


def in_file_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics sorted by file, line, column and code, each said once."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: d.sort_key)


def worst(diagnostics: list[Diagnostic]) -> Severity | None:
    """The highest severity among the diagnostics, or None if there are none."""
    return max((d.severity for d in diagnostics), default=None)
