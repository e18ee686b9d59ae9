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
_LINKING: Final = frozenset({"json", "sarif"})


def documentation_url() -> str | None:
    """Where the documentation is published, as the installed package says it; None until it has a lasting address."""
    from importlib import metadata  # for formats that link to it alone: it takes milliseconds

    try:
        addresses = metadata.metadata("provecfg").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    named = dict(address.split(", ", 1) for address in addresses)
    return named.get("Documentation")


def report(
    findings: Iterable[Finding],
    *,
    format: str = "text",
    files: Iterable[Path] = (),
    base: Path | None = None,
    color: bool = False,
    strict: bool = False,
    source: Callable[[Path], str] | None = None,
    docs_url: str | None = None,
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
        docs_url: Where the documentation is published, with a page for each code.
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
            docs_url=docs_url or (documentation_url() if format in _LINKING else None),
        )
    )
