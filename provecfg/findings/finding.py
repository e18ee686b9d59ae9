"""What was found: a `Finding`, the same whatever found it, and the order in which findings are shown."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from provecfg.findings.problem import Problem, Severity


class Span(NamedTuple):
    """A stretch of text. Lines and columns count from 1, columns in characters; the end is exclusive."""

    row: int
    column: int
    end_row: int
    end_column: int


class Edit(NamedTuple):
    """Replace the text under `span` in `filename` by `text`; an empty span inserts.

    `keys` are the dotted paths in the config whose values this is meant to change.
    """

    filename: Path
    span: Span
    text: str
    keys: tuple[str, ...] = ()


class Applicability(enum.Enum):
    """Whether a fix is made without being asked for by name.

    SAFE: the config could not load, build or run as it stood, and there is one way to mean it: a misspelt key or class
    that would be refused, an int where a float has to be, a key whose right place is certain. UNSAFE: all else, and
    whatever takes out what a person wrote, changes to another class, or changes what trains.
    """

    SAFE = "safe"
    UNSAFE = "unsafe"

    def __str__(self) -> str:
        return self.value


class Fix(NamedTuple):
    """Edits that belong together: all of them or none are made."""

    message: str
    applicability: Applicability
    edits: tuple[Edit, ...]


class Cause(NamedTuple):
    """What a finding follows from: another one, by its code and key."""

    code: str
    key: str


class Origin(NamedTuple):
    """What made a line of a generated file, and so where it is to be changed.

    Args:
        text: The thing itself, in words.
        filename: The file that says it, where there is one.
        span: Where in that file, where it says it in so many words.
    """

    text: str
    filename: Path | None = None
    span: Span | None = None


NOWHERE: Final = Path()
"""The file of a finding of which only the key is known yet."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Whoever finds it says what and where in the config; `place.placed` adds where in its files that stands, unless the
    finder knows that already.

    Args:
        problem: What kind of thing.
        message: What is wrong, with the value.
        key: Dotted path in the config (`model.decode_head.loss_decode[1].use_sigmoid`), or ''.
        hint: What to do about it.
        filename: The file that says it; for an inherited value, the base file. `NOWHERE` before it was placed.
        span: Where in that file, or None for the file as a whole.
        fix: The edit that does it, where one is known.
        target: The file that was asked about, where `filename` is one of its bases.
        covers: Dotted path of the part of the config that means nothing while this stands, '' for all of it: what is
            found there follows from it. None if it is about itself alone.
        caused_by: The finding that this one follows from; see `folding`.
        origin: In a generated file, what made the line.
    """

    problem: Problem
    message: str
    key: str = ""
    hint: str | None = None
    filename: Path = NOWHERE
    span: Span | None = None
    fix: Fix | None = None
    target: Path | None = None
    covers: str | None = None
    caused_by: Cause | None = None
    origin: Origin | None = None

    @property
    def code(self) -> str:
        """The problem's code."""
        return self.problem.code

    @property
    def name(self) -> str:
        """The problem's code in words."""
        return self.problem.name

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.problem.severity

    @property
    def asked(self) -> Path:
        """The file that was asked about."""
        return self.target or self.filename

    @property
    def sort_key(self) -> tuple[str, bool, str, int, int, str, str, str]:
        """File order: by the file asked about, what it says itself before what its bases say, then by place."""
        row, column = (self.span.row, self.span.column) if self.span else (0, 0)
        asked = str(self.asked)
        of_base = self.target is not None and self.target != self.filename
        return (asked, of_base, str(self.filename), row, column, self.code, self.key, self.message)


def in_file_order(findings: list[Finding]) -> list[Finding]:
    """The findings sorted by file, line, column and code, each said once."""
    return sorted(dict.fromkeys(findings), key=lambda d: d.sort_key)


def is_failure(findings: Iterable[Finding], *, strict: bool = False) -> bool:
    """Whether a command ends with exit code 1: something is an error, or with `strict` a warning.

    What follows from another finding counts for nothing.
    """
    failing = Severity.WARNING if strict else Severity.ERROR
    return any(finding.severity >= failing for finding in findings if finding.caused_by is None)
