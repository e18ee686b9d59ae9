from __future__ import annotations

import pytest

from provecfg.training.job import Job, current_job


def test_outside_of_a_scheduler_there_is_no_job() -> None:
    assert current_job({}) is None
    assert current_job({"SLURM_JOB_ID": ""}) is None


@pytest.mark.parametrize(
    ("environment", "job", "text"),
    [
        ({"SLURM_JOB_ID": "12"}, Job("slurm", "12"), "slurm job 12"),
        ({"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "2"}, Job("slurm", "12", None, 2), "slurm job 12"),
        (
            {"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "0", "SLURM_RESTART_COUNT": "1"},
            Job("slurm", "12", 0, 1),
            "slurm job 12_0",
        ),
        ({"LSB_JOBID": "12", "LSB_JOBINDEX": "0"}, Job("lsf", "12"), "lsf job 12"),
        ({"LSB_JOBID": "12", "LSB_JOBINDEX": "3", "LSB_RESTART": "Y"}, Job("lsf", "12", 3, 1), "lsf job 12[3]"),
    ],
)
def test_a_job_is_named_as_its_schedulers_commands_name_it(environment: dict, job: Job, text: str) -> None:
    assert current_job(environment) == job
    assert str(job) == text


def test_a_later_life_is_the_same_job_started_again() -> None:
    first = Job("slurm", "12", 0, 0)
    assert Job("slurm", "12", 0, 1).is_later_life_of(first)
    for other in (first, Job("slurm", "12", 1, 1), Job("slurm", "13", 0, 1), Job("lsf", "12", 0, 1)):
        assert not other.is_later_life_of(first)
    assert not first.is_later_life_of(None)
