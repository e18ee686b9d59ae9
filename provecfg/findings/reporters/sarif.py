"""SARIF 2.1.0, for code scanning.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0; GitHub Docs, "SARIF support for code scanning".
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from provecfg import __version__
from provecfg.findings import Edit, Finding, Fix, Severity, Span, family_of
from provecfg.findings.reporters.report import Report

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
"""GitHub's name for the top of the checkout, which relative URIs start from."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def as_sarif(report: Report) -> str:
    """One SARIF run with a result for each finding."""
    codes = sorted({finding.code for finding in report.distinct})
    seen: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "provecfg",
                "semanticVersion": __version__,
                "rules": [_rule(code, report) for code in codes],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [
            {"location": _artifact(path, report), "roles": ["analysisTarget"]} for path in dict.fromkeys(report.files)
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, codes.index(d.code), seen, report) for d in report.distinct],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str, report: Report) -> dict[str, Any]:
    problem = next(finding.problem for finding in report.distinct if finding.code == code)
    rule: dict[str, Any] = {
        "id": code,
        "name": "".join(word.capitalize() for word in problem.name.split("-")),
        "shortDescription": {"text": problem.summary},
        "defaultConfiguration": {"level": _LEVELS[problem.severity]},
        "properties": {"tags": [family_of(code)]},
        "fullDescription": {"text": problem.summary},
        "help": {"text": f"{problem.summary}\n\n{problem.why}\n\nMore: provecfg rule {code}"},
    }
    url = report.rule_url(code)
    if url:
        rule["helpUri"] = url
    return rule


def _result(finding: Finding, rule_index: int, seen: Counter[str], report: Report) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(finding.filename, report)},
    }
    if finding.span is not None:
        location["physicalLocation"]["region"] = _region(finding.span)
    if finding.key:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.key, "kind": "value"}]
    text = finding.message
    if finding.hint:
        text += f"\n{finding.hint}"
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity if finding.caused_by is None else Severity.NOTE],
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"configKey/v1": _fingerprint(finding, seen, report)},
    }
    if finding.caused_by is not None:
        result["properties"] = {"caused_by": finding.caused_by._asdict()}
    related: list[tuple[Path, Span | None, str]] = [
        (target, None, "inherits from it") for target in report.targets(finding)
    ]
    if finding.origin is not None:
        related += [
            (finding.origin.filename or finding.filename, finding.origin.span, f"made by {finding.origin.text}")
        ]
    if related:
        result["relatedLocations"] = [_related(*place, number, report) for number, place in enumerate(related, start=1)]
    if finding.fix is not None:
        result["fixes"] = [_fix(finding.fix, report)]
    return result


def _related(path: Path, span: Span | None, text: str, number: int, report: Report) -> dict[str, Any]:
    region = {} if span is None else {"region": _region(span)}
    return {
        "id": number,
        "physicalLocation": {"artifactLocation": _artifact(path, report), **region},
        "message": {"text": text},
    }


def _fingerprint(finding: Finding, seen: Counter[str], report: Report) -> str:
    """The same after lines were added above: made of the code, file, key and the line's words, not of its number."""
    line = None if finding.span is None else report.line(finding.filename, finding.span.row)
    words = " ".join((line or "").split())
    parts = (finding.code, report.uri(finding.filename), finding.key, words)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"


def _artifact(path: Path, report: Report) -> dict[str, Any]:
    uri = report.uri(path)
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": _ROOT}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.row,
        "startColumn": span.column,
        "endLine": span.end_row,
        "endColumn": span.end_column,
    }


def _fix(fix: Fix, report: Report) -> dict[str, Any]:
    by_file: dict[Path, list[Edit]] = {}
    for edit in fix.edits:
        by_file.setdefault(edit.filename, []).append(edit)
    return {
        "description": {"text": f"{fix.message} ({fix.applicability})"},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(path, report),
                "replacements": [
                    {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in edits
                ],
            }
            for path, edits in by_file.items()
        ],
    }
