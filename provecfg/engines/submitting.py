"""Handing cells to an engine: a new submission, or those of a study that are not finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provecfg.engines.engine import engine_named
from provecfg.engines.profile import Profile
from provecfg.engines.shell import UnansweredError
from provecfg.engines.slurm import PartlySubmittedError
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.ledger.study_folder import (
    EngineJobs,
    Study,
    Submission,
    add_submission,
    write_engine_jobs,
)
from provecfg.training.record import now


def submission_of(study: Study, cells: Sequence[str], profile: Profile, number: int = 1) -> Submission:
    """A submission of cells, dealt out to tasks. Nothing is written.

    Args:
        study: The study.
        cells: Ids, in order.
        profile: Says how many a task gets.
        number: Of the submission.
    """
    size = profile.cells_per_task
    return Submission(
        number=number,
        study=study.name,
        engine=profile.engine,
        made=now(),
        profile=profile.model_dump(mode="json", exclude_defaults=True),
        tasks=tuple(tuple(cells[first : first + size]) for first in range(0, len(cells), size)),
        retries=profile.retries,
    )


def submit(
    study_dir: Path, study: Study, cells: Sequence[str], profile: Profile, *, after: str | None = None
) -> tuple[Submission, EngineJobs]:
    """Write a submission down, then hand it to its engine.

    Args:
        study_dir: The study's folder.
        study: The study.
        cells: Ids, in order.
        profile: How.
        after: A job that has to end first.

    Raises:
        ProvecfgError: The engine refuses; what it took is written down.
    """
    engine = engine_named(profile.engine)
    engine.script(study_dir, submission_of(study, cells, profile), after=after)  # a wrong profile is said before
    submission = add_submission(study_dir, lambda number: submission_of(study, cells, profile, number))
    try:
        jobs = engine.submit(study_dir, submission, after=after)
    except PartlySubmittedError as error:
        write_engine_jobs(study_dir, submission, error.jobs)
        raise
    except UnansweredError as error:
        raise ProvecfgError(
            error.message,
            hint="it may have been taken: look for it in the engine's own list, and end it there; then "
            f"`provecfg resume {study_dir}`",
            exit_code=error.exit_code,
        ) from error
    except ProvecfgError as error:
        raise ProvecfgError(
            error.message,
            hint=f"it was not taken; mend that, and `provecfg resume {study_dir}` (--profile FILE for another profile)",
            exit_code=error.exit_code,
        ) from error
    try:
        write_engine_jobs(study_dir, submission, jobs)
    except OSError as error:
        named = ", ".join(job.id for job in jobs.jobs)
        raise ProvecfgError(
            f"{profile.engine} has taken it as job {named}, which cannot be written down: {error.strerror or error}",
            hint=f"end job {named}, and `provecfg resume {study_dir}`",
            exit_code=ExitCode.FINDINGS,
        ) from error
    return submission, jobs
