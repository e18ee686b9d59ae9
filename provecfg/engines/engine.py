"""What every engine can do, and the table of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import Task
from provecfg.ledger.study_folder import EngineJobs, Submission
from provecfg.spelling import unknown
from provecfg.training.job import Job

ENGINES: Final = ("slurm", "lsf", "kubernetes")
"""Each is a module beside this one, with an `ENGINE`."""


class Engine(Protocol):
    """Takes a study's cells, and says where they are."""

    def require_here(self) -> None:
        """See that cells can be handed to it from this machine.

        Raises:
            ProvecfgError: They cannot; says why.
        """

    def script(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> str:
        """The text that is handed to the engine, for a person to read, edit and hand over again.

        Args:
            study_dir: The study's folder.
            submission: What is handed over.
            after: A job that has to end first.

        Raises:
            ProvecfgError: The profile is not one for this engine.
        """

    def submit(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> EngineJobs:
        """Hand it over; see `script`.

        Raises:
            ProvecfgError: The engine is not here, or refuses it; says so in its words.
        """

    def task_states(self, study_dir: Path, submission: Submission) -> Mapping[int, Task]:
        """Task -> what the engine says of it; those that it has forgotten are not there."""

    def cancel(self, study_dir: Path, submission: Submission, tasks: Sequence[int] | None = None) -> None:
        """End tasks, or all of them, and forget those that wait.

        Raises:
            ProvecfgError: The engine does not do it; says so in its words.
        """

    def has_ended(self, job: Job) -> bool:
        """Whether a job is known to run no more, wherever it ran. False where the engine has forgotten it.

        Raises:
            ProvecfgError: The engine does not answer; says so in its words.
        """

    def requeue_this_task(self) -> bool:
        """Ask that the task which this process is be started again; whether the engine will."""


def engine_named(name: str) -> Engine:
    """An engine.

    Raises:
        ProvecfgError: There is none of that name.
    """
    if name not in ENGINES:
        raise ProvecfgError(unknown("engine", name, ENGINES))
    engine: Engine = importlib.import_module(f"provecfg.engines.{name}").ENGINE
    return engine
