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
from provecfg.diagnostics import Diagnostic, Edit, Fix, Severity, Span
from provecfg.reporters.findings import Findings

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
"""GitHub's name for the top of the checkout, which relative URIs start from."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def as_sarif(findings: Findings) -> str:
    """One SARIF run with a result for each finding."""
    codes = sorted({diagnostic.code for diagnostic in findings.distinct})
    seen: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "provecfg",
                "semanticVersion": __version__,
                "rules": [_rule(code, findings) for code in codes],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [
            {"location": _artifact(path, findings), "roles": ["analysisTarget"]}
            for path in dict.fromkeys(findings.files)
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, codes.index(d.code), seen, findings) for d in findings.distinct],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str, findings: Findings) -> dict[str, Any]:
    first = next(d for d in findings.distinct if d.code == code)
    page = findings.pages.get(code)
    rule: dict[str, Any] = {
        "id": code,
        "name": "".join(word.capitalize() for word in first.name.split("-")),
        "shortDescription": {"text": page.summary if page else first.name.replace("-", " ")},
        "defaultConfiguration": {"level": _LEVELS[first.severity]},
        "properties": {"tags": [code.rstrip("0123456789")]},
    }
    if page:
        rule["fullDescription"] = {"text": page.summary}
        rule["help"] = {"text": f"{page.summary}\n\n{page.why}\n\nMore: provecfg rule {code}"}
    url = findings.rule_url(code)
    if url:
        rule["helpUri"] = url
    return rule


def _result(diagnostic: Diagnostic, rule_index: int, seen: Counter[str], findings: Findings) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(diagnostic.filename, findings)},
    }
    if diagnostic.span is not None:
        location["physicalLocation"]["region"] = _region(diagnostic.span)
    if diagnostic.key:
        location["logicalLocations"] = [{"fullyQualifiedName": diagnostic.key, "kind": "value"}]
    text = diagnostic.message
    if diagnostic.hint:
        text += f"\n{diagnostic.hint}"
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule_index,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"configKey/v1": _fingerprint(diagnostic, seen, findings)},
    }
    targets = findings.targets(diagnostic)
    if targets:
        result["relatedLocations"] = [
            {
                "id": number,
                "physicalLocation": {"artifactLocation": _artifact(target, findings)},
                "message": {"text": "inherits from it"},
            }
            for number, target in enumerate(targets, start=1)
        ]
    if diagnostic.fix is not None:
        result["fixes"] = [_fix(diagnostic.fix, findings)]
    return result


def _fingerprint(diagnostic: Diagnostic, seen: Counter[str], findings: Findings) -> str:
    """The same after lines were added above: made of the code, file, key and the line's words, not of its number."""
    line = None if diagnostic.span is None else findings.line(diagnostic.filename, diagnostic.span.row)
    words = " ".join((line or "").split())
    parts = (diagnostic.code, findings.uri(diagnostic.filename), diagnostic.key, words)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"


def _artifact(path: Path, findings: Findings) -> dict[str, Any]:
    uri = findings.uri(path)
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": _ROOT}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.row,
        "startColumn": span.column,
        "endLine": span.end_row,
        "endColumn": span.end_column,
    }


def _fix(fix: Fix, findings: Findings) -> dict[str, Any]:
    by_file: dict[Path, list[Edit]] = {}
    for edit in fix.edits:
        by_file.setdefault(edit.filename, []).append(edit)
    return {
        "description": {"text": f"{fix.message} ({fix.applicability})"},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(path, findings),
                "replacements": [
                    {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in edits
                ],
            }
            for path, edits in by_file.items()
        ],
    }
