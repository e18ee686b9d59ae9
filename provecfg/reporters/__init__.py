"""Diagnostics as text, JSON, SARIF, GitHub commands or JUnit XML. Nothing else prints findings."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from provecfg.diagnostics import Diagnostic
from provecfg.reporters.findings import Findings, Page, text_of_file

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
    diagnostics: Iterable[Diagnostic],
    *,
    format: str = "text",
    files: Iterable[Path] = (),
    base: Path | None = None,
    color: bool = False,
    strict: bool = False,
    source: Callable[[Path], str] | None = None,
    pages: Mapping[str, Page] | None = None,
    rules_url: str | None = RULES_URL,
) -> str:
    """Write diagnostics in one of `FORMATS`, in the order given; the text has no newline at its end.

    Args:
        diagnostics: What was found.
        format: A key of `FORMATS`.
        files: What was judged, for formats that list what is fine as well.
        base: Folder that paths are relative to; where we are unless given.
        color: Whether text is coloured. The caller knows the stream and NO_COLOR.
        strict: Whether warnings count as failures, for formats that say so.
        source: Text of a file, for source lines; read from disk unless given.
        pages: Documentation of the codes, for formats that carry it.
        rules_url: Address of the page that documents the codes.
    """
    base = (base or Path.cwd()).absolute()
    module = importlib.import_module(f"provecfg.reporters.{FORMATS[format]}")
    write: Callable[[Findings], str] = getattr(module, f"as_{format}")
    return write(
        Findings(
            diagnostics=tuple(diagnostics),
            files=tuple(dict.fromkeys(base / file for file in files)),
            base=base,
            color=color,
            strict=strict,
            source=source or text_of_file,
            pages=pages or {},
            rules_url=rules_url,
        )
    )
