"""`provecfg resume`: submit again what is not finished."""

from __future__ import annotations

from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--failed", is_flag=True, help="Also what has failed.")
@click.option("--profile", "profile_file", type=click.Path(path_type=Path), metavar="FILE", help="Another profile.")
@terminal_options
def command(folder: Path, failed: bool, profile_file: Path | None, terminal: Terminal) -> int:
    """Submit again what of a study is neither finished nor under way, as it was submitted last."""
    from provecfg.engines.engine import engine_named
    from provecfg.engines.profile import read_profile
    from provecfg.engines.study_status import statuses_of_study
    from provecfg.engines.submitting import submit
    from provecfg.engines.task_script import profile_in
    from provecfg.ledger.cell_status import State
    from provecfg.ledger.study_folder import require_study, submissions_of

    study, earlier = require_study(folder), submissions_of(folder)
    if not earlier and profile_file is None:
        raise ProvecfgError(f"{folder} has no submission whose profile could be taken", hint="name one with --profile")
    statuses = statuses_of_study(folder, study)
    left = [status for status in statuses if not status.state.is_complete and not status.state.is_under_way]
    cells = [status.id for status in left if failed or status.state is not State.FAILED]
    if not cells:
        remaining = f"; {len(left)} have failed, which --failed submits" if left else ""
        terminal.note(f"nothing to submit{remaining}")
        return ExitCode.CLEAN
    profile = read_profile(profile_file) if profile_file is not None else profile_in(earlier[-1])
    engine_named(profile.engine).require_here()
    submission, jobs = submit(folder, study, cells, profile)
    stale = sum(status.is_stale for status in left if status.id in cells)
    if stale:
        terminal.note(f"of {stale} the config has changed: what is trained is the one that was submitted")
    counted = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
    terminal.result(f"submission {submission.number}: {counted}, job {', '.join(job.id for job in jobs.jobs)}")
    return ExitCode.CLEAN
