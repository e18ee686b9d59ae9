"""`provecfg logs`: what a cell has printed."""

from __future__ import annotations

import time
from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError

_POLL_SECONDS = 1.0
_ASK_SECONDS = 5.0
"""Between two questions to the engine."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("cell", metavar="CELL")
@click.option("-f", "--follow", is_flag=True, help="Go on as it prints, until it is not under way any more.")
@terminal_options
def command(folder: Path, cell: str, follow: bool, terminal: Terminal) -> int:
    """Print what a cell has printed, then the end of mmengine's log of it.

    DIR is as for `provecfg status`, CELL as that names it.
    """
    from provecfg.engines.study_status import is_under_way, work_dir_named
    from provecfg.ledger.cell_logs import Tail, logs_of

    work_dir = work_dir_named(folder, cell)
    tails: dict[Path, Tail] = {}
    goes_on, asked = follow, -_ASK_SECONDS
    while True:
        # Asked before its logs are read, so that what it prints last is printed here.
        if goes_on and time.monotonic() - asked > _ASK_SECONDS:
            goes_on, asked = is_under_way(folder, work_dir), time.monotonic()
        for path in logs_of(work_dir):
            is_new = path not in tails
            tail = tails.setdefault(path, Tail(path))
            text = tail.more()
            if text:
                terminal.result(f"==> {path} <==\n{text}" if is_new else text)
        if not tails and not follow:
            raise ProvecfgError(f"{cell} has printed nothing yet: there is no log in {work_dir}")
        if not goes_on:
            return ExitCode.CLEAN
        time.sleep(_POLL_SECONDS)
