"""`provecfg cancel`: end what was submitted."""

from __future__ import annotations

from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("cells", metavar="[CELL...]", nargs=-1)
@terminal_options
def command(folder: Path, cells: tuple[str, ...], terminal: Terminal) -> int:
    """End the submitted tasks of a study, or those of some cells. What trains writes a checkpoint first.

    A task that trains several cells ends with all of them.
    """
    from provecfg.engines.engine import engine_named
    from provecfg.engines.study_status import is_live
    from provecfg.ledger.study_folder import add_cancellation, require_study, submissions_of

    study = require_study(folder)
    wanted = {study.cell(name).id for name in cells}
    ended = 0
    for submission in submissions_of(folder):
        engine = engine_named(submission.engine)
        engine.require_here()
        states = engine.task_states(folder, submission)
        tasks = [
            index
            for index, of_task in enumerate(submission.tasks)
            if is_live(states.get(index)) and (not wanted or wanted & set(of_task))
        ]
        if tasks:
            engine.cancel(folder, submission, None if len(tasks) == len(submission.tasks) else tasks)
            ended += len(tasks)
            try:
                add_cancellation(folder, submission, tasks)
            except ProvecfgError as error:  # a full disk is no reason to let the other submissions run
                terminal.failure(f"that they were cancelled is not written down: {error.message}")
    terminal.note(f"{ended} task{'s' * (ended != 1)} told to end")
    return ExitCode.CLEAN
