"""JUnit XML: a test case for each file that was judged, failed where it has errors."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from provecfg.findings import Finding
from provecfg.findings.reporters.report import Report
from provecfg.spelling import printable


def as_junit(report: Report) -> str:
    """One test suite. What is no failure (warnings, notes) stands in the case's system-out."""
    cases: dict[Path, list[Finding]] = {path: [] for path in report.files}
    for finding in report.findings:
        if finding.caused_by is None:
            cases.setdefault(report.base / finding.asked, []).append(finding)
    failed = sum(any(map(report.is_failure, findings)) for findings in cases.values())
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0"}
    root = ET.Element("testsuites", {"name": "provecfg", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": "provecfg", **counts, "skipped": "0"})
    for path, findings in cases.items():
        _case(suite, path, findings, report)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _case(suite: ET.Element, path: Path, findings: list[Finding], report: Report) -> None:
    name = _clean(report.shown(path))
    case = ET.SubElement(suite, "testcase", {"name": name, "classname": "provecfg", "file": name, "time": "0"})
    failures = [finding for finding in findings if report.is_failure(finding)]
    others = [finding for finding in findings if not report.is_failure(finding)]
    if failures:
        first = failures[0]
        rest = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        # one element for all of a file's failures: several readers take no more than one of a case
        failure = ET.SubElement(
            case, "failure", {"type": first.code, "message": _clean(f"{first.code} {first.message}{rest}")}
        )
        failure.text = "\n".join(_line(finding, report) for finding in failures)
    if others:
        ET.SubElement(case, "system-out").text = "\n".join(_line(finding, report) for finding in others)


def _line(finding: Finding, report: Report) -> str:
    place = report.shown(finding.filename)
    if finding.span is not None:
        place += f":{finding.span.row}:{finding.span.column}"
    text = f"{place}: {finding.severity} {finding.code} {finding.message}"
    if finding.key:
        text += f" [{finding.key}]"
    if finding.hint:
        text += f" (hint: {finding.hint})"
    if (origin := report.origin(finding)) is not None:
        text += f" (made by {origin})"
    return _clean(text)


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold, escaped or not: most controls, surrogates, and two noncharacters."""
    text = printable(text).encode("utf-8", "replace").decode()
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
