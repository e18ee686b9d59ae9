"""`provecfg validate`: judge configs and studies without running them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provecfg.commands.cfg_options import CommandWithCfgOptions, parse_cfg_options
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode
from provecfg.files import read_text
from provecfg.findings import Finding, Severity, in_file_order
from provecfg.findings.reporters import FORMATS, report
from provecfg.findings.settings import ALL, Settings, settings_for
from provecfg.findings.suppressions import suppress
from provecfg.parallel import map_in_processes
from provecfg.paths import write_atomically
from provecfg.validate import FOUND_ELSEWHERE, files_of, findings_in

if TYPE_CHECKING:
    from provecfg.findings import Problem
    from provecfg.findings.fixes import Fixed


@click.command(cls=CommandWithCfgOptions)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option(
    "--output-format", type=click.Choice(list(FORMATS)), envvar="PROVECFG_OUTPUT_FORMAT", help="[default: text]"
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to a file.")
@click.option("--select", multiple=True, metavar="CODES", help="Only these codes, or beginnings of codes.")
@click.option("--ignore", multiple=True, metavar="CODES", help="Not these codes, or beginnings of codes.")
@click.option("--strict", is_flag=True, default=None, help="Let warnings fail, too.")
@click.option("--fix", is_flag=True, help="Make the fixes that keep what is trained, then judge again.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix or --diff, also the fixes that change what is trained.")
@click.option("--diff", is_flag=True, help="Print what --fix would change, and change nothing.")
@click.option("--cfg-options", multiple=True, metavar="KEY=VALUE...", help="Merge into each config first.")
@terminal_options
def command(
    targets: tuple[str, ...],
    output_format: str | None,
    output: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    strict: bool | None,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    cfg_options: tuple[str, ...],
    terminal: Terminal,
) -> int:
    """Judge configs and studies without running them.

    TARGET is a config (.py, .yaml, .json), a study, a folder of them, or `configs`: every study and generated config of
    the project you stand in. Nothing that is validated is executed, ever.
    """
    here = Path.cwd()
    options = parse_cfg_options(cfg_options)

    @functools.cache
    def settings_at(folder: Path) -> Settings:
        found = settings_for(folder).with_options(
            select=select or None, ignore=ignore or None, strict=strict, output_format=output_format
        )
        if found.selectors != (ALL,):
            from provecfg.codes import problems

            found.check_selectors(problems())
        return found

    settings = settings_at(here)
    files = files_of(targets, here)

    def is_on(code: str, file: Path) -> bool:
        return not code.startswith(FOUND_ELSEWHERE) and settings_at(file.parent).is_on(code, file)

    def judged() -> tuple[list[Finding], dict[Path, str]]:
        found: list[Finding] = []
        texts: dict[Path, str] = {}
        # Forking pays from a few files on.
        processes = None if len(files) >= 8 else 1
        results = map_in_processes(lambda file: findings_in(file, options), files, processes)
        for file, (findings, read) in zip(files, results, strict=True):
            own = settings_at(file.parent)  # also for what a base file says: the config was asked about
            found += [one for one in findings if own.is_on(one.code, one.filename)]
            texts |= read
        kept = suppress(found, texts, judged={file.absolute() for file in files}, is_on=is_on)
        return in_file_order(kept), texts

    editable = {file.absolute() for file in files}  # not their bases, which others may inherit from
    if diff or fix:
        from provecfg.findings.fixes import fixed, mend
    if diff:
        return _show_fixes(fixed(judged()[0], unsafe=unsafe_fixes, editable=editable), here, terminal)
    if fix:
        mended = mend(lambda: judged()[0], unsafe=unsafe_fixes, editable=editable)
        terminal.note(f"{_count(len(mended.applied), 'finding')} mended in {_count(len(mended.files), 'file')}")
    findings, texts = judged()

    def text_of(file: Path) -> str:
        return texts.get(file) or read_text(file, errors="replace")

    shown = findings
    if settings.output_format == "text" and not terminal.verbose:
        shown = [one for one in findings if one.severity is not Severity.NOTE]
    text = report(
        shown,
        format=settings.output_format,
        files=files,
        color=output is None and terminal.colors_output,
        strict=settings.strict,
        source=text_of,
        pages=_pages_for(settings.output_format),
    )
    if output is not None:
        write_atomically(output, text + "\n")
    else:
        terminal.result(text, styled=True)
    if len(shown) < len(findings):
        terminal.note(f"{_count(len(findings) - len(shown), 'note')} not shown; -v shows them")
    failing = Severity.WARNING if settings.strict else Severity.ERROR
    return ExitCode.FINDINGS if any(one.severity >= failing for one in findings) else ExitCode.CLEAN


def _pages_for(output_format: str) -> Mapping[str, Problem]:
    if output_format != "sarif":
        return {}
    from provecfg.codes import problems

    return problems()


def _show_fixes(outcome: Fixed, here: Path, terminal: Terminal) -> int:
    if not outcome.files:
        return ExitCode.CLEAN
    terminal.result(outcome.diff(here).rstrip("\n"))
    terminal.note(f"{_count(len(outcome.applied), 'finding')} would be mended in {_count(len(outcome.files), 'file')}")
    return ExitCode.FINDINGS


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
