"""`provecfg compare`: what differs between configs, declared and derived."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from provecfg.commands import names
from provecfg.commands.findings import settings_reader, show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.comparison import FACTORS, as_data, as_text, compare, read_targets, refuse_alone
from provecfg.errors import ExitCode
from provecfg.findings import Finding, is_failure
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.reporters import report
from provecfg.findings.reporters.report import text_of_file


@click.command()
@click.argument(
    "targets", metavar="CONFIG...", nargs=-1, required=True, shell_complete=names.completing(names.studies, files=True)
)
@click.option(
    "--factor",
    "factors",
    multiple=True,
    type=click.Choice(list(FACTORS)),
    metavar="FACTOR",
    help=f"What is meant to differ (repeatable); of a study, the axis to compare along. One of {', '.join(FACTORS)}.",
)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(targets: tuple[str, ...], factors: tuple[str, ...], output_format: str, terminal: Terminal) -> int:
    """Say what differs between configs, and whether they differ in one thing alone.

    CONFIG is a config, a folder of them, a study file, or the name of a study. Inheritance is applied and the defaults
    of every class are filled in, so that what is said in other words is no difference. Nothing is executed.

    Cells of a study (generated configs say which they are) are compared along each of its axes: models, losses, seeds
    and so on. Other configs are compared with the first. What follows from the declared factor is listed with the
    reason; any other difference is a finding. Where nothing is declared, one factor must explain all differences.

    JSON is one object: `factors` (of each config, where on the axes it is), `differences` (configs, declared, key,
    factor, status, reason, before, after; the status is declared, derived, record, not compared or unexplained) and
    `findings` (findings, as `validate` writes them).
    """
    here = Path.cwd()
    configs, problems = read_targets(targets, here)
    if not problems:
        refuse_alone(configs, targets)
    comparisons = compare(configs, list(dict.fromkeys(factors))) if not problems else []
    findings = [*problems, *(finding for comparison in comparisons for finding in comparison.findings)]
    texts = {file: config.view.sources(file) for config in configs for file in config.view.files}
    shown = screened(_by_file(findings, texts), settings_reader())
    if output_format == "json":
        array = json.loads(report(shown, format="json"))
        terminal.result(json.dumps({**as_data(configs, comparisons), "findings": array}, indent=2))
    else:
        if comparisons:
            terminal.result(as_text(configs, comparisons))
            if shown:
                terminal.result("")
        show_findings(shown, terminal, texts=texts, says_none=False)
    return ExitCode.FINDINGS if is_failure(shown) else ExitCode.CLEAN


def _by_file(findings: Iterable[Finding], texts: Mapping[Path, str]) -> list[Judgement]:
    """The findings by the file that was asked about; of a study's cells that is the study."""
    of_file: dict[Path, list[Finding]] = {}
    for finding in findings:
        of_file.setdefault(finding.asked, []).append(finding)
    return [
        Judgement(file, tuple(its), texts if file in texts else {file: text_of_file(file)})
        for file, its in of_file.items()
    ]
