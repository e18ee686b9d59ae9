"""JUnit XML: a test case for each file that was judged, failed where it has errors."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from provecfg.diagnostics import Diagnostic
from provecfg.reporters.findings import Findings, printable


def as_junit(findings: Findings) -> str:
    """One test suite. What is no failure (warnings, notes) stands in the case's system-out."""
    cases: dict[Path, list[Diagnostic]] = {path: [] for path in findings.files}
    for diagnostic in findings.diagnostics:
        cases.setdefault(findings.base / (diagnostic.target or diagnostic.filename), []).append(diagnostic)
    failed = sum(any(map(findings.is_failure, found)) for found in cases.values())
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0"}
    root = ET.Element("testsuites", {"name": "provecfg", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": "provecfg", **counts, "skipped": "0"})
    for path, found in cases.items():
        _case(suite, path, found, findings)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _case(suite: ET.Element, path: Path, found: list[Diagnostic], findings: Findings) -> None:
    name = _clean(findings.shown(path))
    case = ET.SubElement(suite, "testcase", {"name": name, "classname": "provecfg", "file": name, "time": "0"})
    failures = [diagnostic for diagnostic in found if findings.is_failure(diagnostic)]
    others = [diagnostic for diagnostic in found if not findings.is_failure(diagnostic)]
    if failures:
        first = failures[0]
        rest = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        # one element for all of a file's failures: several readers take no more than one of a case
        failure = ET.SubElement(
            case, "failure", {"type": first.code, "message": _clean(f"{first.code} {first.message}{rest}")}
        )
        failure.text = "\n".join(_line(diagnostic, findings) for diagnostic in failures)
    if others:
        ET.SubElement(case, "system-out").text = "\n".join(_line(diagnostic, findings) for diagnostic in others)


def _line(diagnostic: Diagnostic, findings: Findings) -> str:
    place = findings.shown(diagnostic.filename)
    if diagnostic.span is not None:
        place += f":{diagnostic.span.row}:{diagnostic.span.column}"
    text = f"{place}: {diagnostic.severity} {diagnostic.code} {diagnostic.message}"
    if diagnostic.key:
        text += f" [{diagnostic.key}]"
    if diagnostic.hint:
        text += f" (hint: {diagnostic.hint})"
    return _clean(text)


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold, escaped or not: most controls, surrogates, and two noncharacters."""
    text = printable(text).encode("utf-8", "replace").decode()
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
