"""For people: each finding with its source line, like a good compiler."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from provecfg.findings import Applicability, Finding, Severity, Span
from provecfg.findings.reporters.report import Report
from provecfg.spelling import first_few, printable

_WIDEST_LINE = 120
"""Source lines longer than this (characters) are cut to the part around the finding."""
_MOST_TARGETS = 3
"""Names of inheriting configs that are listed before `and N more`."""
_MOST_CONSEQUENCES = 3
"""Findings that follow from one, likewise."""

_COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


def as_text(report: Report) -> str:
    """All findings, then a line that counts them."""
    blocks = [_finding(finding, report) for finding in report.causes]
    return "\n\n".join([*blocks, _summary(report)])


def _finding(finding: Finding, report: Report) -> str:
    paint = _Paint(report.color, _COLORS[finding.severity])
    place = printable(report.shown(finding.filename))
    if finding.span is not None:
        place += f":{finding.span.row}:{finding.span.column}"
    head = f"{paint.bold(place)}: {paint.strong(f'{finding.severity} {finding.code}')} "
    head += printable(finding.message)
    if finding.key:
        head += paint.faint(f"  [{printable(finding.key)}]")
    lines = [head]
    margin = 2
    if finding.span is not None:
        margin = len(str(finding.span.row)) + 1
        lines += _excerpt(finding.filename, finding.span, report, paint)
    notes = []
    if finding.hint:
        notes.append(f"hint: {printable(finding.hint)}")
    if finding.fix is not None:
        option = "--fix" if finding.fix.applicability is Applicability.SAFE else "--unsafe-fixes"
        notes.append(f"fix ({option}): {printable(finding.fix.message)}")
    if (origin := report.origin(finding)) is not None:
        notes.append(f"made by {printable(origin)}")
    targets = [printable(report.shown(target)) for target in report.targets(finding)]
    if targets:
        notes.append(f"inherited by {first_few(targets, _MOST_TARGETS)}")
    consequences = report.consequences(finding)
    if consequences:
        listed = [
            f"{consequence.code} [{printable(consequence.key)}]" if consequence.key else consequence.code
            for consequence in consequences
        ]
        verb = "follows" if len(listed) == 1 else "follow"
        notes.append(f"{first_few(listed, _MOST_CONSEQUENCES)} {verb} from it")
    lines += [f"{' ' * margin}{paint.faint('=')} {note}" for note in notes]
    return "\n".join(lines)


def _excerpt(path: Path, span: Span, report: Report, paint: _Paint) -> list[str]:
    """The line of a span, and carets under what the span covers of it."""
    line = report.line(path, span.row)
    if line is None or not line.strip():
        return []
    start = min(span.column - 1, len(line))
    end = min(span.end_column - 1, len(line)) if span.end_row == span.row else len(line.rstrip())
    end = max(end, start + 1)
    before, covered, after = line[:start], line[start:end], line[end:]
    if len(line) > _WIDEST_LINE:
        covered = covered[: _WIDEST_LINE // 2]
        room = _WIDEST_LINE - len(covered)
        cut = max(len(before) - room // 2, 0)
        before = f"...{before[cut:]}" if cut else before
        left = max(room - len(before), 0)
        after = f"{after[:left]}..." if len(after) > left or start + len(covered) < end else after
    # a tab under a tab, so that the carets stand right whatever the terminal's tab stops are
    indent = "".join("\t" if character == "\t" else " " * _width(character) for character in before)
    carets = "^" * max(sum(map(_width, covered)), 1)
    number = str(span.row)
    bar = paint.faint("|")
    return [
        f"{' ' * len(number)} {bar}",
        f"{paint.faint(number)} {bar} {printable(before + covered + after)}",
        f"{' ' * len(number)} {bar} {indent}{paint.strong(carets)}",
    ]


def _width(character: str) -> int:
    """Columns that a character takes in a terminal, as `printable` writes it."""
    if character == "\t":
        return 1
    shown = printable(character)
    if len(shown) > 1:
        return len(shown)
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _summary(report: Report) -> str:
    paint = _Paint(report.color, "32" if not report.causes else "1")
    number = len(report.files)
    files = f"{number} file{'s' if number != 1 else ''}"
    if not report.causes:
        return paint.strong(f"{files}: no findings" if number else "no findings")
    text = f"Found {report.counts}"
    if number:
        text += f" in {files}"
    text += "."
    safe, unsafe = (report.fixable(kind) for kind in (Applicability.SAFE, Applicability.UNSAFE))
    if safe:
        text += f" --fix mends {safe}."
    if unsafe:
        text += f" --unsafe-fixes mends {unsafe}{' more' if safe else ''}, changing what is trained."
    return paint.strong(text)


class _Paint:
    """ANSI colours, or none."""

    def __init__(self, color: bool, strong: str) -> None:
        self._color = color
        self._strong = strong

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color and text else text

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def faint(self, text: str) -> str:
        return self._in("2", text)

    def strong(self, text: str) -> str:
        return self._in(self._strong if self._strong == "1" else f"1;{self._strong}", text)
