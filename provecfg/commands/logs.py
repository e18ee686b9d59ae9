"""`provecfg logs`: what a cell has printed."""

from __future__ import annotations

import time
from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError

_POLL_SECONDS = 1.0


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("cell", metavar="CELL")
@click.option("-f", "--follow", is_flag=True, help="Go on as it prints, until it is not under way any more.")
@terminal_options
def command(folder: Path, cell: str, follow: bool, terminal: Terminal) -> int:
    """Print what a cell has printed, then the end of mmengine's log of it.

    DIR is as for `provecfg status`, CELL as that names it.
    """
    from provecfg.engines.study_status import statuses_of
    from provecfg.ledger.cell_logs import Tail, logs_of
    from provecfg.spelling import unknown

    def status() -> tuple[Path, bool]:
        statuses = statuses_of(folder)
        named = [each for each in statuses if cell in (each.id, each.id.rpartition("-")[0])]
        if len(named) != 1:
            raise ProvecfgError(unknown("cell", cell, [each.id for each in statuses]))
        return Path(named[0].work_dir), named[0].state.is_under_way

    tails: dict[Path, Tail] = {}
    while True:
        work_dir, is_under_way = status()
        for path in logs_of(work_dir):
            is_new = path not in tails
            tail = tails.setdefault(path, Tail(path))
            text = tail.more()
            if text:
                terminal.result(f"==> {path} <==\n{text}" if is_new else text)
        if not tails and not follow:
            raise ProvecfgError(f"{cell} has printed nothing yet: there is no log in {work_dir}")
        if not (follow and is_under_way):
            return ExitCode.CLEAN
        time.sleep(_POLL_SECONDS)
