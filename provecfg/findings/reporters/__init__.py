"""Findings as text, JSON, SARIF, GitHub commands or JUnit XML. Nothing else prints findings."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from provecfg.findings import Finding
from provecfg.findings.reporters.report import Report, text_of_file

FORMATS: Final[dict[str, str]] = {
    "text": "text",
    "json": "json_array",
    "sarif": "sarif",
    "github": "github",
    "junit": "junit",
}
"""Output format as the command line names it -> its module, imported when asked for; it has `as_<format>`."""

RULES_URL: Final[str | None] = None
"""Where docs/rules.md is published, so that reports can link to it; None until it has a lasting address."""


def report(
    findings: Iterable[Finding],
    *,
    format: str = "text",
    files: Iterable[Path] = (),
    base: Path | None = None,
    color: bool = False,
    strict: bool = False,
    source: Callable[[Path], str] | None = None,
    rules_url: str | None = RULES_URL,
) -> str:
    """Write findings in one of `FORMATS`, in the order given; the text has no newline at its end.

    Args:
        findings: What was found.
        format: A key of `FORMATS`.
        files: What was judged, for formats that list what is fine as well.
        base: Folder that paths are relative to; where we are unless given.
        color: Whether text is coloured. The caller knows the stream and NO_COLOR.
        strict: Whether warnings count as failures, for formats that say so.
        source: Text of a file, for source lines; read from disk unless given.
        rules_url: Address of the page that documents the codes.
    """
    base = (base or Path.cwd()).absolute()
    module = importlib.import_module(f"provecfg.findings.reporters.{FORMATS[format]}")
    write: Callable[[Report], str] = getattr(module, f"as_{format}")
    return write(
        Report(
            findings=tuple(findings),
            files=tuple(dict.fromkeys(base / file for file in files)),
            base=base,
            color=color,
            strict=strict,
            source=source or text_of_file,
            rules_url=rules_url,
        )
    )
