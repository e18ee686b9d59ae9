"""For programs: one JSON array, a finding an object."""

from __future__ import annotations

import json
from typing import Any

from provecfg.diagnostics import Diagnostic, Fix, Span
from provecfg.reporters.findings import Findings

_WHOLE_FILE = Span(1, 1, 1, 1)
"""Where a finding about a file as a whole is said to be, so that readers need not tell it apart."""


def as_json(findings: Findings) -> str:
    """The findings as a JSON array, with the fields that the command line's contract lists."""
    return json.dumps([record(d, findings) for d in findings.distinct], indent=2)


def record(diagnostic: Diagnostic, findings: Findings) -> dict[str, Any]:
    """One finding as plain data; rows and columns count from 1, the end is exclusive."""
    span = diagnostic.span or _WHOLE_FILE
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "filename": str(findings.base / diagnostic.filename),
        "location": {"row": span.row, "column": span.column},
        "end_location": {"row": span.end_row, "column": span.end_column},
        "key": diagnostic.key,
        "fix": None if diagnostic.fix is None else _fix(diagnostic.fix, findings),
        "url": findings.rule_url(diagnostic.code),
    }


def _fix(fix: Fix, findings: Findings) -> dict[str, Any]:
    return {
        "message": fix.message,
        "applicability": str(fix.applicability),
        "edits": [
            {
                "filename": str(findings.base / edit.filename),
                "location": {"row": edit.span.row, "column": edit.span.column},
                "end_location": {"row": edit.span.end_row, "column": edit.span.end_column},
                "content": edit.text,
            }
            for edit in fix.edits
        ],
    }
