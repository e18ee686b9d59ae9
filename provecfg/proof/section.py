"""What one check of a proof saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provecfg.findings import Finding, Severity


@dataclass(frozen=True, slots=True)
class Section:
    """One check: what was seen, and what was wrong.

    Args:
        name: What is proved, such as "equation".
        lines: What was seen, for a person; no trailing line ends.
        evidence: The same as plain data (dict, list, str, int, finite float, bool, None), for the receipt.
        findings: What is wrong. Without an error among them, the section is proved.
        not_judged: Why nothing could be checked, or None.
    """

    name: str
    lines: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    not_judged: str | None = None

    @property
    def is_proved(self) -> bool:
        """Whether it was checked, and nothing is an error."""
        return self.not_judged is None and not self.has_errors

    @property
    def has_errors(self) -> bool:
        """Whether something is an error."""
        return any(finding.problem.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class TimedSection:
    """A section, and the seconds that it took."""

    section: Section
    seconds: float
