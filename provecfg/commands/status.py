"""`provecfg status`: where the cells of a study stand."""

from __future__ import annotations

import time
from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError

_WATCH_SECONDS = 5.0


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Say it again every few seconds, until nothing is under way.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(folder: Path, watch: bool, output_format: str, terminal: Terminal) -> int:
    """Say where every cell of a study stands.

    DIR is the folder of a submitted study, or any folder of work dirs. Records, leases and heartbeats are read and the
    engine is asked; nothing is executed.
    """
    from provecfg.engines.study_status import statuses_of
    from provecfg.ledger.status_table import as_json, as_table

    while True:
        silences: list[ProvecfgError] = []
        statuses = statuses_of(folder, silences.append)
        for message in dict.fromkeys(error.message for error in silences):  # of each submission that was asked about
            terminal.failure(f"the engine was not heard: {message}")
        if watch and terminal.colors_output:
            click.clear()
        terminal.result(as_json(statuses) if output_format == "json" else as_table(statuses))
        if not watch or not any(status.state.is_under_way for status in statuses):
            return ExitCode.CLEAN
        time.sleep(_WATCH_SECONDS)
