"""`provecfg validate`: judge configs and studies without running them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from provecfg.commands import names
from provecfg.commands.cfg_options import CommandWithCfgOptions, parse_cfg_options
from provecfg.commands.findings import settings_reader, show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode
from provecfg.findings import Finding, is_failure
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.reporters import FORMATS
from provecfg.mmconfig.problems import SYNTAX_ERROR, UNREADABLE_FILE, UNREADABLE_TEXT
from provecfg.parallel import map_in_processes, processors
from provecfg.validate import files_and_studies, judge_for_fixes, judgement_of, judgement_of_studies

if TYPE_CHECKING:
    from provecfg.findings.edits import FixResult

_MOST_AHEAD: Final = 8
"""Files that are judged before processes share the others."""


@click.command(cls=CommandWithCfgOptions)
@click.argument(
    "targets", metavar="TARGET...", nargs=-1, required=True, shell_complete=names.completing(names.studies, files=True)
)
@click.option(
    "--output-format", type=click.Choice(list(FORMATS)), envvar="PROVECFG_OUTPUT_FORMAT", help="[default: text]"
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to a file.")
@click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    shell_complete=names.completing(names.codes),
    help="Only these codes, or beginnings of codes.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="CODES",
    shell_complete=names.completing(names.codes),
    help="Not these codes, or beginnings of codes.",
)
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

    TARGET is a config (.py, .yaml, .json), a study or its name in `provecfg list studies`, a folder of them, or
    `configs`: every study and generated config of the project you stand in. Nothing that is validated is executed,
    ever.
    """
    here = Path.cwd()
    options = parse_cfg_options(cfg_options)
    settings_at = settings_reader(select=select, ignore=ignore, strict=strict, output_format=output_format)
    settings = settings_at(here)
    files, named = files_and_studies(targets, here)

    def judgements() -> list[Judgement]:
        def judged(some: Sequence[Path]) -> list[Judgement]:
            return [judgement_of(file, options) for file in some]

        # some before the processes part: what is loaded and found out for them, all have
        ahead = max(1, min(_MOST_AHEAD, len(files) // (8 * processors())))
        of_files = dict(zip(files, judged(files[:ahead]), strict=False))
        groups = _neighbours(files[ahead:])
        pays = len(files) >= 8  # to fork
        for group, of_group in zip(groups, map_in_processes(judged, groups, None if pays else 1), strict=True):
            of_files.update(zip(group, of_group, strict=True))
        of_names = [judgement_of_studies(here / name, studies) for name, studies in named.items()]
        return [*(of_files[file] for file in files), *of_names]

    if diff or fix:
        from provecfg.findings.fixes import apply_fixes

        result = apply_fixes(files, judge_for_fixes(settings_at, options), unsafe=unsafe_fixes)
        if diff:
            return _show_fixes(result, _unparsed(judgements()), here, terminal)
        result.write()
        terminal.note(f"{_count(len(result.applied), 'finding')} mended in {_count(len(result.files), 'file')}")
    judged = judgements()
    _say_other_versions(terminal)
    findings = screened(judged, settings_at, says_unused=True)
    show_findings(
        findings,
        terminal,
        output_format=settings.output_format,
        files=files,
        texts={file: text for judgement in judged for file, text in judgement.texts.items()},
        strict=settings.strict,
        output=output,
        docs_url=settings.docs_url,
    )
    return ExitCode.FINDINGS if is_failure(findings, strict=settings.strict) else ExitCode.CLEAN


def _neighbours(files: Sequence[Path]) -> list[list[Path]]:
    """The files in groups that one process each judges, small ones first, so that every process gets as many files.

    Those of a folder have most in common: bases, and what is known of their parts. Found out by every process, that
    takes half as long again.
    """
    most = max(1, len(files) // (4 * processors()))
    of_folders = [list(group) for _, group in itertools.groupby(files, key=lambda file: file.parent)]
    groups = [group[start : start + most] for group in of_folders for start in range(0, len(group), most)]
    return sorted(groups, key=len)


def _say_other_versions(terminal: Terminal) -> None:
    """Say it where other releases are installed than the one by whose classes was judged."""
    from provecfg.registry.release import other_versions

    others = [f"{name} {here} (judged by {known})" for name, (here, known) in other_versions().items()]
    if others:
        terminal.note(f"installed: {', '.join(others)}; `provecfg snapshot` reads what is installed, to judge by it")


def _unparsed(judged: Iterable[Judgement]) -> list[Finding]:
    """What keeps files from being read, so that nothing in them was judged, nor could be mended."""
    findings = (finding for judgement in judged for finding in judgement.findings)
    return [finding for finding in findings if finding.problem in (SYNTAX_ERROR, UNREADABLE_TEXT, UNREADABLE_FILE)]


def _show_fixes(outcome: FixResult, unparsed: Sequence[Finding], here: Path, terminal: Terminal) -> int:
    if unparsed:
        show_findings(unparsed, terminal, on_stderr=True)
    if not outcome.files:
        return ExitCode.FINDINGS if unparsed else ExitCode.CLEAN
    terminal.result(outcome.diff(here).rstrip("\n"))
    terminal.note(f"{_count(len(outcome.applied), 'finding')} would be mended in {_count(len(outcome.files), 'file')}")
    return ExitCode.FINDINGS


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
