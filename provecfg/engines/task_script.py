"""What the scripts of all engines have in common."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from provecfg.engines.profile import Profile, profile_of
from provecfg.ledger.study_folder import SUBMISSIONS, Submission


def profile_in(submission: Submission) -> Profile:
    """The profile that a submission was made with."""
    return profile_of(dict(submission.profile))


def job_name(submission: Submission, profile: Profile) -> str:
    """What the job is called."""
    return profile.name or submission.study


def python_of(profile: Profile) -> str:
    """The Python that a task runs with."""
    return profile.python or sys.executable


def script_path(study_dir: Path, submission: Submission, suffix: str) -> Path:
    """Where a submission's script is kept."""
    return study_dir / SUBMISSIONS / f"{submission.stem}{suffix}"


def title(submission: Submission) -> str:
    """What the script is, in a line."""
    cells, tasks = sum(map(len, submission.tasks)), len(submission.tasks)
    return f"Submission {submission.number} of the study {submission.study}: {cells} cells in {tasks} tasks."


def cell_command(study_dir: Path, submission: Submission, profile: Profile, index: str) -> str:
    """The shell words that a task runs.

    Args:
        study_dir: The study's folder.
        submission: Which.
        profile: Names the Python.
        index: The task's number, as the shell has it.
    """
    words = shlex.join(
        [python_of(profile), "-m", "provecfg", "cell", str(study_dir.absolute()), str(submission.number)]
    )
    return f"{words} {index}"
