"""For programs: one JSON array, a finding an object."""

from __future__ import annotations

import json
from typing import Any

from provecfg.findings import Finding, Fix, Origin, Span
from provecfg.findings.reporters.report import Report

_WHOLE_FILE = Span(1, 1, 1, 1)
"""Where a finding about a file as a whole is said to be, so that readers need not tell it apart."""


def as_json(report: Report) -> str:
    """The findings as a JSON array, with the fields that the command line's contract lists."""
    return json.dumps([record(d, report) for d in report.distinct], indent=2)


def record(finding: Finding, report: Report) -> dict[str, Any]:
    """One finding as plain data; rows and columns count from 1, the end is exclusive."""
    span = finding.span or _WHOLE_FILE
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": str(finding.severity),
        "message": finding.message,
        "hint": finding.hint,
        "filename": str(report.base / finding.filename),
        "location": {"row": span.row, "column": span.column},
        "end_location": {"row": span.end_row, "column": span.end_column},
        "key": finding.key,
        "fix": None if finding.fix is None else _fix(finding.fix, report),
        "url": report.rule_url(finding.code),
        "caused_by": None if finding.caused_by is None else finding.caused_by._asdict(),
        # of generated files alone
        **({} if finding.origin is None else {"origin": _origin(finding.origin, report)}),
    }


def _origin(origin: Origin, report: Report) -> dict[str, Any]:
    span = origin.span
    return {
        "text": origin.text,
        "filename": None if origin.filename is None else str(report.base / origin.filename),
        "location": None if span is None else {"row": span.row, "column": span.column},
    }


def _fix(fix: Fix, report: Report) -> dict[str, Any]:
    return {
        "message": fix.message,
        "applicability": str(fix.applicability),
        "edits": [
            {
                "filename": str(report.base / edit.filename),
                "location": {"row": edit.span.row, "column": edit.span.column},
                "end_location": {"row": edit.span.end_row, "column": edit.span.end_column},
                "content": edit.text,
            }
            for edit in fix.edits
        ],
    }
