"""What a reporter is given, and what they all need: relative paths, source lines, counts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from provecfg.files import read_bytes
from provecfg.findings import Applicability, Finding, Severity, is_failure
from provecfg.findings.finding import Cause

_LARGEST_SHOWN = 5_000_000
"""Files larger than this (bytes) are reported without their source lines."""

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Report:
    """Everything a report is made of.

    Args:
        findings: In the order they are to be shown.
        files: What was judged, also where nothing was found.
        base: Folder that paths are shown relative to.
        color: Whether to colour text.
        strict: Whether warnings count as failures.
        source: Text of a file.
        docs_url: Where the documentation is published, or None.
    """

    findings: tuple[Finding, ...]
    files: tuple[Path, ...]
    base: Path
    color: bool
    strict: bool
    source: Callable[[Path], str]
    docs_url: str | None

    @cached_property
    def distinct(self) -> tuple[Finding, ...]:
        """The findings with those of a base file, which each config that inherits from it repeats, said once."""
        first = {replace(finding, target=None): finding for finding in reversed(self.findings)}
        return tuple(reversed(first.values()))

    def targets(self, finding: Finding) -> list[Path]:
        """The configs that inherit a finding from a base file, in order."""
        return [target for target in self._targets.get(replace(finding, target=None), {}) if target != finding.filename]

    @cached_property
    def _targets(self) -> dict[Finding, dict[Path, None]]:
        """Finding of a base file -> the configs that were asked about, in order."""
        targets: dict[Finding, dict[Path, None]] = {}
        for finding in self.findings:
            if finding.target:
                targets.setdefault(replace(finding, target=None), {})[finding.target] = None
        return targets

    def shown(self, path: Path) -> str:
        """A path as people read it: relative to the base where it lies below, with forward slashes.

        A folder whose name ends in `::` stands for a package whose files are in an archive: what is before is left out.
        """
        package = next((index for index, part in enumerate(path.parts) if part.endswith("::")), None)
        if package is not None:
            return path.parts[package] + "/".join(path.parts[package + 1 :])
        absolute = self.base / path
        try:
            return absolute.relative_to(self.base).as_posix()
        except ValueError:
            return path.as_posix()

    def uri(self, path: Path) -> str:
        """A path as a URI: relative where it lies below the base, else absolute."""
        shown = self.shown(path)
        return (self.base / path).as_uri() if Path(shown).is_absolute() else quote(os.fsencode(shown))

    def line(self, path: Path, row: int) -> str | None:
        """One line of a file, row counting from 1, or None if there is none."""
        lines = self._lines.setdefault(path, None)
        if lines is None:
            try:
                text = self.source(path)
            except OSError:  # a folder, or gone: the finding stands without its line
                text = ""
            lines = self._lines[path] = _LINE_END.split(text)
        return lines[row - 1] if 0 < row <= len(lines) else None

    @cached_property
    def _lines(self) -> dict[Path, list[str] | None]:
        return {}

    def rule_url(self, code: str) -> str | None:
        """Where a code is documented: `docs/conf.py` makes a page for each."""
        return None if self.docs_url is None else f"{self.docs_url.rstrip('/')}/codes/{code}.html"

    def is_failure(self, finding: Finding) -> bool:
        """Whether the finding alone makes the exit code 1."""
        return is_failure([finding], strict=self.strict)

    def origin(self, finding: Finding) -> str | None:
        """What made the line of a generated file, with its place."""
        if finding.origin is None:
            return None
        text, filename, span = finding.origin
        if filename is None:
            return text
        place = self.shown(filename) + ("" if span is None else f":{span.row}:{span.column}")
        return f"{place}: {text}"

    @cached_property
    def causes(self) -> tuple[Finding, ...]:
        """The distinct findings that follow from no other one: those that count."""
        return tuple(finding for finding in self.distinct if finding.caused_by is None)

    def consequences(self, cause: Finding) -> list[Finding]:
        """The distinct findings that follow from one."""
        asked = {cause.asked, *self.targets(cause)}
        return [finding for finding in self._caused.get(Cause(cause.code, cause.key), ()) if finding.asked in asked]

    @cached_property
    def _caused(self) -> dict[Cause, list[Finding]]:
        """Cause -> the distinct findings that follow from it."""
        caused: dict[Cause, list[Finding]] = {}
        for finding in self.distinct:
            if finding.caused_by is not None:
                caused.setdefault(finding.caused_by, []).append(finding)
        return caused

    @property
    def counts(self) -> str:
        """`2 errors, 1 warning`, or `no findings`."""
        parts = []
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE):
            number = sum(finding.severity is severity for finding in self.causes)
            if number:
                parts.append(f"{number} {severity}{'s' if number > 1 else ''}")
        return ", ".join(parts) or "no findings"

    def fixable(self, applicability: Applicability) -> int:
        """How many findings have a fix of this kind."""
        return sum(finding.fix is not None and finding.fix.applicability is applicability for finding in self.causes)


def text_of_file(path: Path) -> str:
    """A file's text for showing lines of it; '' where it cannot be had."""
    try:
        return read_bytes(path, max_bytes=_LARGEST_SHOWN).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes, each in the order given."""
    return sorted(findings, key=lambda finding: -finding.severity)
