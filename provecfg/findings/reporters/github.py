"""GitHub workflow commands, which become annotations on a pull request.

Source: GitHub Docs, "Workflow commands for GitHub Actions"; the escapes are those of actions/toolkit,
core/src/command.ts.
"""

from __future__ import annotations

from provecfg.findings import Finding, Severity
from provecfg.findings.reporters.report import Report, worst_first
from provecfg.spelling import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def as_github(report: Report) -> str:
    """A command a finding, the worst first since GitHub shows ten of a kind, then a line that counts them."""
    lines = [_command(finding, report) for finding in worst_first(report.causes)]
    return "\n".join([*lines, f"provecfg: {report.counts}"])


def _command(finding: Finding, report: Report) -> str:
    properties = {"title": f"{finding.code} {finding.name}", "file": report.shown(finding.filename)}
    span = finding.span
    if span is not None:
        properties["line"] = str(span.row)
        if span.end_row == span.row:
            # GitHub takes columns only where the span stays on its line, and an inclusive end
            properties["col"] = str(span.column)
            properties["endColumn"] = str(max(span.end_column - 1, span.column))
        else:
            properties["endLine"] = str(span.end_row)
    parameters = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = finding.message
    if finding.key:
        message += f" [{finding.key}]"
    if finding.hint:
        message += f"\n{finding.hint}"
    if (origin := report.origin(finding)) is not None:
        message += f"\nmade by {origin}"
    return f"::{_COMMANDS[finding.severity]} {parameters}::{_data(message)}"


def _data(text: str) -> str:
    lines = (printable(line) for line in text.replace("\r", "\n").split("\n"))
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
