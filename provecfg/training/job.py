"""The scheduler's job that this process is part of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """A job, or one task of an array of jobs.

    Args:
        scheduler: `slurm` or `lsf`.
        id: As the scheduler's commands take it; for a task of an array, the array's.
        array_index: Of a task, or None.
        restarts: How often the scheduler has started it again. LSF tells only whether it has, so 1 stands for more.
    """

    scheduler: str
    id: str
    array_index: int | None = None
    restarts: int = 0

    def __str__(self) -> str:
        index = "" if self.array_index is None else f"_{self.array_index}" if self.scheduler == "slurm" else ""
        if self.scheduler == "lsf" and self.array_index is not None:
            index = f"[{self.array_index}]"
        return f"{self.scheduler} job {self.id}{index}"

    def is_later_life_of(self, other: Job | None) -> bool:
        """Whether the scheduler started `other` again as this, and so has ended it."""
        return (
            other is not None
            and (self.scheduler, self.id, self.array_index) == (other.scheduler, other.id, other.array_index)
            and self.restarts > other.restarts
        )


def current_job(environment: Mapping[str, str] | None = None) -> Job | None:
    """The job that the environment tells of, or None.

    Source: Slurm's sbatch(1), OUTPUT ENVIRONMENT VARIABLES; IBM Spectrum LSF 10.1, "Environment variables set for job
    execution", where LSB_JOBINDEX is 0 for a job of no array.
    """
    environment = os.environ if environment is None else environment
    slurm, lsf = environment.get("SLURM_JOB_ID"), environment.get("LSB_JOBID")
    if slurm:
        index = _number(environment.get("SLURM_ARRAY_TASK_ID"))
        array = environment.get("SLURM_ARRAY_JOB_ID")
        restarts = _number(environment.get("SLURM_RESTART_COUNT")) or 0
        return Job("slurm", array if array and index is not None else slurm, index, restarts)
    if lsf:
        restarted = environment.get("LSB_RESTART") == "Y"
        return Job("lsf", lsf, _number(environment.get("LSB_JOBINDEX")) or None, int(restarted))
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
