"""`provecfg cell`: what a submitted task runs."""

from __future__ import annotations

from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode
from provecfg.interruption import StopRequested, StopSignals


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("submission", metavar="SUBMISSION", type=click.IntRange(min=1))
@click.argument("index", metavar="INDEX", type=click.IntRange(min=0))
@terminal_options
def command(folder: Path, submission: int, index: int, terminal: Terminal) -> int:
    """Train the cells of a submitted task. Engines run this, not people.

    SIGUSR1 and SIGUSR2 write a checkpoint and have the engine start the task again; SIGTERM writes a checkpoint.
    """
    from provecfg.engines.cell_task import CellTask

    signals = StopSignals()
    try:
        with signals.listening():
            return CellTask(folder, submission, index, terminal.note).run(signals)
    except StopRequested as stop:
        return ExitCode.REQUEUE if stop.requeue else ExitCode.INTERRUPTED
