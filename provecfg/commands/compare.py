"""`provecfg compare`: what differs between configs, declared and derived."""

from __future__ import annotations

import json
from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.comparison import FACTORS, as_data, as_text, compare, read_targets
from provecfg.errors import ExitCode
from provecfg.findings import Finding, Severity, in_file_order
from provecfg.findings.reporters import report


@click.command()
@click.argument("targets", metavar="CONFIG...", nargs=-1, required=True)
@click.option(
    "--factor",
    "factors",
    multiple=True,
    type=click.Choice(list(FACTORS)),
    help="What is meant to differ (repeatable); of a study, the axis to compare along.",
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
    if not problems and len(configs) < 2:
        raise click.UsageError(f"{' '.join(targets)} is one config; name two, a folder of them, or a study")
    comparisons = compare(configs, list(dict.fromkeys(factors))) if not problems else []
    found = in_file_order([*problems, *(one for comparison in comparisons for one in comparison.findings)])
    if output_format == "json":
        findings = json.loads(report(found, format="json"))
        terminal.result(json.dumps({**as_data(configs, comparisons), "findings": findings}, indent=2))
    else:
        if comparisons:
            terminal.result(as_text(configs, comparisons))
        shown = [one for one in found if one.severity is not Severity.NOTE or terminal.verbose]
        if shown:
            terminal.result(
                "\n" * bool(comparisons) + report(shown, format="text", color=terminal.colors_output), styled=True
            )
    return ExitCode.FINDINGS if _has_errors(found) else ExitCode.CLEAN


def _has_errors(found: list[Finding]) -> bool:
    return any(one.severity is Severity.ERROR for one in found)
