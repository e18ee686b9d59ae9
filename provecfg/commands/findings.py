"""How every command selects and shows what was found; see `provecfg.findings.pipeline`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provecfg.commands.options import Terminal
from provecfg.commands.origins import with_origins
from provecfg.findings import Finding, Severity
from provecfg.findings.reporters import report
from provecfg.findings.reporters.report import text_of_file
from provecfg.findings.settings import ALL, Settings, settings_for
from provecfg.paths import write_atomically

if TYPE_CHECKING:
    from provecfg.generate.origins import StudyOrigins


def settings_reader(
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    strict: bool | None = None,
    output_format: str | None = None,
) -> Callable[[Path], Settings]:
    """What gives the settings of a folder, as the command line changes them.

    Args:
        select: As of `--select`; replaces what the settings say.
        ignore: As of `--ignore`; adds to it.
        strict: As of `--strict`.
        output_format: As of `--output-format`.

    Returns:
        A function that reads each folder's settings once. It raises ProvecfgError for a table that cannot be read and
        for a selector that means no code.
    """

    @functools.cache
    def settings_at(folder: Path) -> Settings:
        settings = settings_for(folder).with_options(
            select=select or None, ignore=ignore or None, strict=strict, output_format=output_format
        )
        if settings.selectors != (ALL,):
            from provecfg.codes import problems

            settings.check_selectors(problems())
        return settings

    return settings_at


def show_findings(
    findings: Sequence[Finding],
    terminal: Terminal,
    *,
    output_format: str = "text",
    files: Iterable[Path] = (),
    texts: Mapping[Path, str] | None = None,
    strict: bool = False,
    output: Path | None = None,
    on_stderr: bool = False,
    says_none: bool = True,
    studies: Sequence[StudyOrigins] = (),
    docs_url: str | None = None,
) -> None:
    """Write a report of findings; as text, notes only with -v.

    Args:
        findings: After `screened`.
        terminal: Where to.
        output_format: One of `reporters.FORMATS`.
        files: What was judged.
        texts: Text of the files, for source lines; what is missing is read from disk.
        strict: Whether warnings count as failures.
        output: A file to write to instead.
        on_stderr: For commands that have another result of their own: to standard error.
        says_none: Whether a text says that there is nothing to show.
        studies: Those that the files were just generated from.
        docs_url: Where the documentation is published, as the settings say it.
    """
    shown = findings
    if output_format == "text" and not terminal.verbose:
        shown = [finding for finding in findings if finding.severity is not Severity.NOTE]
    if shown or says_none:
        known = texts or {}

        def text_of(file: Path) -> str:
            return known[file] if file in known else text_of_file(file)

        text = report(
            with_origins(shown, text_of, studies),
            format=output_format,
            files=files,
            color=output is None and (terminal.colors_errors if on_stderr else terminal.colors_output),
            strict=strict,
            source=text_of,
            docs_url=docs_url,
        )
        if output is not None:
            write_atomically(output, text + "\n")
        elif on_stderr:
            terminal.failure(text, styled=True)
        else:
            terminal.result(text, styled=True)
    if len(shown) < len(findings) and not on_stderr:
        hidden = len(findings) - len(shown)
        terminal.note(f"{hidden} note{'s' * (hidden != 1)} not shown; -v shows them")
