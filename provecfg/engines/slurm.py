"""Slurm: an array script for sbatch, squeue and sacct for its state, scancel and scontrol for the rest."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from provecfg.engines.profile import Profile
from provecfg.engines.shell import has_command, output_of, require_command
from provecfg.engines.task_script import cell_command, job_name, profile_in, python_of, script_path, title
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import Task, TaskState
from provecfg.ledger.study_folder import LOGS, EngineJob, EngineJobs, Submission, engine_jobs_of
from provecfg.paths import write_atomically
from provecfg.training.job import Job

_USUAL_ARRAY_SIZE: Final = 1001  # slurm.conf(5), MaxArraySize
_QUEUED = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})
_RUNNING = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED", "RESIZING", "SUSPENDED"})
_FORGOTTEN = "Slurm has forgotten it"
_TASK = re.compile(r"(\d+)_(\d+)")

# In the setup lines nothing trains yet: a warning of the time limit then asks for the task to be started again.
_EARLY = "trap 'scontrol requeue ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; exit 75' USR1"
# The script runs on the first of its nodes, so a port that is free here is free where the others look for it.
_SEVERAL_NODES = """\
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$({python} -c 'import socket; print(socket.create_server(("", 0)).getsockname()[1])')"""


class Slurm:
    """See `engine.Engine`."""

    def require_here(self) -> None:
        require_command("sbatch")

    def script(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> str:
        profile = profile_in(submission)
        index = "$((${1:-0} + SLURM_ARRAY_TASK_ID))"
        command = cell_command(study_dir, submission, profile, index)
        is_on_one_node = profile.nodes == 1
        if is_on_one_node:
            # The batch process itself is the cell's, so the warning reaches it alone.
            run = [_EARLY, *profile.setup, f"exec {command}"]
        else:
            srun = shlex.join(["srun", "--kill-on-bad-exit=0", *profile.slurm_srun_args])
            export = f"export NODE_RANK=$SLURM_NODEID; exec {command}"
            rendezvous = _SEVERAL_NODES.format(python=shlex.quote(python_of(profile)))
            run = [*profile.setup, rendezvous, f"{srun} bash -c '{export}' provecfg \"$@\""]
        size = self._array_size(profile, len(submission.tasks))
        lines = [
            "#!/bin/bash",
            f"# {title(submission)}",
            f"# By hand: sbatch {script_path(study_dir, submission, '.sh').name} [FIRST], task N being task FIRST + N.",
            *(f"#SBATCH {option}" for option in _options(study_dir, submission, profile, size, after)),
            "",
            *run,
        ]
        return "\n".join(lines) + "\n"

    def submit(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> EngineJobs:
        profile = profile_in(submission)
        path = script_path(study_dir, submission, ".sh")
        write_atomically(path, self.script(study_dir, submission, after=after))
        count = len(submission.tasks)
        size = self._array_size(profile, count)
        jobs: list[EngineJob] = []
        for first in range(0, count, size):
            tasks = min(size, count - first)
            # One array after the other, so that the throttle holds for all of them.
            chained = [f"--dependency=afterany:{jobs[-1].id}"] if jobs else []
            words = ["sbatch", "--parsable", f"--array={_array(tasks, profile)}", *chained, str(path), str(first)]
            try:
                job = output_of(words).strip().partition(";")[0]
            except ProvecfgError as error:
                if not jobs:
                    raise
                raise PartlySubmittedError(EngineJobs(tuple(jobs)), first, count, error) from error
            jobs.append(EngineJob(job, first, tasks))
        return EngineJobs(tuple(jobs))

    def task_states(self, study_dir: Path, submission: Submission) -> Mapping[int, Task]:
        jobs = engine_jobs_of(study_dir, submission)
        if not jobs or not has_command("squeue"):
            return {}
        told = self._remembered([job.id for job in jobs])
        if any((job.id, index) not in told for job in jobs for index in range(job.tasks)):
            told = {**self._accounted(jobs), **told}
        return {
            job.first + index: told.get((job.id, index), Task(TaskState.ENDED, _FORGOTTEN))
            for job in jobs
            for index in range(job.tasks)
        }

    def cancel(self, study_dir: Path, submission: Submission, tasks: Sequence[int] | None = None) -> None:
        jobs = engine_jobs_of(study_dir, submission)
        wanted = range(len(submission.tasks)) if tasks is None else tasks
        places = ((job, index - job.first) for job in jobs for index in wanted)
        named = [f"{job.id}_{place}" for job, place in places if 0 <= place < job.tasks]
        if tasks is None:
            named = [job.id for job in jobs]
        if not named:
            return
        output_of(["scancel", "--state=PENDING", *named])
        # Not scancel's own end, which kills some seconds later, checkpoint or not.
        whom = [] if profile_in(submission).nodes > 1 else ["--batch"]
        output_of(["scancel", *whom, "--signal=TERM", "--state=RUNNING", *named])

    def has_ended(self, job: Job) -> bool:
        task = None if job.array_index is None else self._remembered([job.id]).get((job.id, job.array_index))
        return task is not None and task.state is not TaskState.RUNNING

    def requeue_this_task(self) -> bool:
        array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        job = f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID")
        if job is None:
            return False
        output_of(["scontrol", "requeue", job])
        return True

    @staticmethod
    def _array_size(profile: Profile, tasks: int) -> int:
        """Tasks of one array at most."""
        if profile.max_array_size is not None:
            return profile.max_array_size
        if tasks >= _USUAL_ARRAY_SIZE and has_command("scontrol"):
            match = re.search(r"^MaxArraySize\s*=\s*(\d+)", output_of(["scontrol", "show", "config"]), re.MULTILINE)
            return max(1, int(match[1]) - 1) if match else _USUAL_ARRAY_SIZE - 1
        return _USUAL_ARRAY_SIZE - 1

    @staticmethod
    def _remembered(jobs: Sequence[str]) -> dict[tuple[str, int], Task]:
        """What squeue knows; nothing where Slurm has forgotten all of them."""
        words = ["--noheader", "--array", "--states=all", f"--jobs={','.join(jobs)}", "--format=%F|%K|%T|%r"]
        try:
            return dict(tasks_in_squeue(output_of(["squeue", *words])))
        except ProvecfgError as error:
            if "Invalid job id" not in error.message:
                raise
            return {}

    @staticmethod
    def _accounted(jobs: Sequence[EngineJob]) -> dict[tuple[str, int], Task]:
        """What the accounting knows, where a site has it."""
        words = ["--noheader", "--parsable2", "--allocations", f"--jobs={','.join(job.id for job in jobs)}"]
        try:
            return dict(tasks_in_sacct(output_of(["sacct", *words, "--format=JobID,State,ExitCode"])))
        except ProvecfgError:
            return {}


class PartlySubmittedError(ProvecfgError):
    """The engine has taken a part of a submission, and refuses the rest.

    Args:
        jobs: What it has taken.
        first: The first task that it refuses.
        count: Of the submission's tasks.
        error: Its words.
    """

    def __init__(self, jobs: EngineJobs, first: int, count: int, error: ProvecfgError) -> None:
        self.jobs = jobs
        super().__init__(
            f"tasks {first} to {count - 1} were not taken: {error.message}",
            hint="the others were; `provecfg resume` submits the rest when there is room",
            exit_code=error.exit_code,
        )


def tasks_in_squeue(text: str) -> Iterator[tuple[tuple[str, int], Task]]:
    """Array and index of each task, and its state, from `squeue --noheader --array --format=%F|%K|%T|%r`."""
    for line in text.splitlines():
        job, index, state, reason = [part.strip() for part in line.split("|", 3)]
        if index.isdecimal():
            yield (job, int(index)), _task(state, "" if reason in ("None", "") else reason)


def tasks_in_sacct(text: str) -> Iterator[tuple[tuple[str, int], Task]]:
    """The same from `sacct --noheader --parsable2 --allocations --format=JobID,State,ExitCode`."""
    for line in text.splitlines():
        job, state, code = line.split("|")[:3]
        match = _TASK.fullmatch(job)
        if match:
            yield (match[1], int(match[2])), _task(state.split()[0], "" if code == "0:0" else f"exit code {code}")


def _task(state: str, reason: str) -> Task:
    if state in _QUEUED:
        return Task(TaskState.QUEUED, reason)
    if state in _RUNNING:
        return Task(TaskState.RUNNING, reason)
    return Task(TaskState.ENDED, f"{state} {reason}".strip())


def _options(study_dir: Path, submission: Submission, profile: Profile, size: int, after: str | None) -> Iterator[str]:
    values = {
        "job-name": job_name(submission, profile),
        "array": _array(min(size, len(submission.tasks)), profile),
        "output": str(study_dir.absolute() / LOGS / f"{submission.stem}_%A_%a.out"),
        "open-mode": "append",
        "nodes": profile.nodes,
        "ntasks-per-node": 1,
        "gres": f"gpu:{profile.gpus_per_node}" if profile.gpus_per_node else None,
        "cpus-per-task": profile.cpus_per_task,
        "mem": f"{math.ceil(profile.mem_gb * 1024)}M" if profile.mem_gb else None,
        "time": profile.timeout_min,
        "partition": profile.slurm_partition,
        "account": profile.slurm_account,
        "qos": profile.slurm_qos,
        "constraint": profile.slurm_constraint,
        "dependency": f"afterany:{after}" if after else None,
        "requeue": True,
        "signal": f"{'B:' if profile.nodes == 1 else ''}USR1@{profile.signal_delay_s}",
        **profile.slurm_additional,
    }
    for name, value in values.items():
        if value is True:
            yield f"--{name}"
        elif value is not None and value is not False:
            yield f"--{name}={shlex.quote(str(value))}"


def _array(tasks: int, profile: Profile) -> str:
    throttle = f"%{profile.array_parallelism}" if profile.array_parallelism else ""
    return f"0-{tasks - 1}{throttle}"


ENGINE: Final = Slurm()
