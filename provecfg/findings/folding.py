"""Findings that follow from another one: each is put under its cause.

One mistake should be one finding. Who finds something that makes a part of the config meaningless says which part
(`Finding.covers`); what else is found in that part may be its consequence. It keeps its place in reports for programs,
counts for nothing, and stands alone again once its cause is silenced or mended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from provecfg.findings.finding import Cause, Finding


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, in the order given, those that follow from another one with their cause.

    A finding is the consequence of one at least as bad that covers its key in the same config; of several, of the one
    that covers most, and of two that cover each other, the second of the first.

    Args:
        findings: What is left after selection and suppression, placed.
    """
    findings = list(findings)
    covering: dict[Path, list[Finding]] = {}
    for finding in findings:
        if finding.covers is not None:
            covering.setdefault(finding.asked, []).append(finding)
    if not covering:
        return findings
    for causes in covering.values():
        causes.sort(key=lambda cause: len(cause.covers or ""))  # stable: of equals, the first
    return [_under_its_cause(finding, covering.get(finding.asked, [])) for finding in findings]


def _under_its_cause(finding: Finding, causes: list[Finding]) -> Finding:
    for cause in causes:
        if cause is finding:  # what comes after covers no more than this one
            return finding
        if cause.severity >= finding.severity and _is_within(finding.key, cause.covers or ""):
            return replace(finding, caused_by=Cause(cause.code, cause.key))
    return finding


def _is_within(key: str, part: str) -> bool:
    """Whether a dotted path is a part of the config, or leads into it."""
    return not part or key == part or (key.startswith(part) and key[len(part)] in ".[")
