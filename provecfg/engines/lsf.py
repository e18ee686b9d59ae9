"""IBM Spectrum LSF: an array script for bsub, bjobs for its state, bkill and brequeue.

Written by LSF 10.1's documentation, and not run on a real one.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from provecfg.engines.profile import Profile
from provecfg.engines.shell import UnansweredError, has_command, output_of, require_command
from provecfg.engines.task_script import cell_command, job_name, profile_in, script_path, title
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import Task, TaskState
from provecfg.ledger.study_folder import LOGS, EngineJob, EngineJobs, Submission, engine_jobs_of
from provecfg.paths import write_atomically
from provecfg.training.job import Job

# bjobs(1), "Job states"; EXIT and DONE have ended. ZOMBI was killed on a host that does not answer.
_QUEUED = frozenset({"PEND", "PROV", "PSUSP", "WAIT"})
_RUNNING = frozenset({"RUN", "USUSP", "SSUSP", "UNKWN"})
_SUBMITTED = re.compile(r"Job <(\d+)> is submitted")
_INDEX = re.compile(r"\[(\d+)\]")
_FORMAT = "jobid stat job_name exit_code pend_reason delimiter='|'"


class Lsf:
    """See `engine.Engine`. Indices of an array begin at 1."""

    def require_here(self) -> None:
        require_command("bsub")

    def script(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> str:
        profile = profile_in(submission)
        if profile.nodes > 1:
            raise ProvecfgError("nodes: a cell on several machines is not supported on LSF", hint="set nodes: 1")
        command = cell_command(study_dir, submission, profile, "$((LSB_JOBINDEX - 1))")
        lines = [
            "#!/bin/bash",
            f"# {title(submission)}",
            f"# By hand: bsub < {script_path(study_dir, submission, '.lsf').name}",
            *(f"#BSUB {option}" for option in _options(study_dir, submission, profile, after)),
            "",
            *profile.setup,
            f"exec {command}",
        ]
        return "\n".join(lines) + "\n"

    def submit(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> EngineJobs:
        text = self.script(study_dir, submission, after=after)
        write_atomically(script_path(study_dir, submission, ".lsf"), text)
        answer = output_of(["bsub"], text)
        match = _SUBMITTED.search(answer)
        if match is None:
            raise UnansweredError(f"bsub names no job: {answer.strip()}")
        return EngineJobs((EngineJob(match[1], 0, len(submission.tasks)),))

    def task_states(self, study_dir: Path, submission: Submission) -> Mapping[int, Task]:
        jobs = engine_jobs_of(study_dir, submission)
        if not jobs or not has_command("bjobs"):
            return {}
        return _remembered([job.id for job in jobs])

    def cancel(self, study_dir: Path, submission: Submission, tasks: Sequence[int] | None = None) -> None:
        states = self.task_states(study_dir, submission)
        for job in engine_jobs_of(study_dir, submission):
            for index in range(job.tasks) if tasks is None else tasks:
                state = states[index].state if index in states else TaskState.ENDED
                # What runs gets the signal alone: by itself, bkill kills ten seconds after its own SIGTERM.
                how = {TaskState.QUEUED: [], TaskState.RUNNING: ["-s", "TERM"]}.get(state)
                if how is not None:
                    output_of(["bkill", *how, f"{job.id}[{index + 1}]"])

    def has_ended(self, job: Job) -> bool:
        task = None if job.array_index is None else _remembered([job.id]).get(job.array_index - 1)
        # the host of a zombie does not answer, and may still train
        return task is not None and task.state is not TaskState.RUNNING and not task.reason.startswith("ZOMBI")

    def requeue_this_task(self) -> bool:
        job, index = os.environ.get("LSB_JOBID"), os.environ.get("LSB_JOBINDEX", "0")
        if job is None:
            return False
        output_of(["brequeue", f"{job}[{index}]" if index != "0" else job])
        return True


def _remembered(jobs: Sequence[str]) -> dict[int, Task]:
    return dict(tasks_in_bjobs(output_of(["bjobs", "-a", "-noheader", "-o", _FORMAT, *jobs])))


def tasks_in_bjobs(text: str) -> Iterator[tuple[int, Task]]:
    """Task, and its state, from `bjobs -a -noheader -o "jobid stat job_name exit_code pend_reason delimiter='|'"`.

    Source: IBM Spectrum LSF 10.1, bjobs, "-o"; the name of an array's job ends in its index, as `study[3]`.
    """
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|", 4)]
        if len(parts) != 5 or not (match := _INDEX.search(parts[2])):
            continue
        _, state, _, code, reason = parts
        yield int(match[1]) - 1, _task(state, code, "" if reason == "-" else reason)


def _task(state: str, code: str, reason: str) -> Task:
    if state in _QUEUED:
        return Task(TaskState.QUEUED, reason)
    if state in _RUNNING:
        return Task(TaskState.RUNNING, "its host does not answer" if state == "UNKWN" else reason)
    return Task(TaskState.ENDED, state if code in ("-", "") else f"{state} exit code {code}")


def _options(study_dir: Path, submission: Submission, profile: Profile, after: str | None) -> Iterator[str]:
    name, count = job_name(submission, profile), len(submission.tasks)
    throttle = f"%{profile.array_parallelism}" if profile.array_parallelism else ""
    yield f'-J "{name}[1-{count}]{throttle}"'
    yield f"-o {shlex.quote(str(study_dir.absolute() / LOGS / f'{submission.stem}_%J_%I.out'))}"
    yield f"-n {profile.cpus_per_task or 1}"
    yield "-R span[hosts=1]"
    yield "-r"  # started again where its host fails
    if profile.gpus_per_node:
        yield f"-gpu num={profile.gpus_per_node}"
    if profile.mem_gb:
        yield f"-M {math.ceil(profile.mem_gb * 1024)}MB"
    if profile.timeout_min:
        yield f"-W {profile.timeout_min}"
        # bsub(1), -wa and -wt: an action so many minutes before the limit
        yield f"-wa USR1 -wt {math.ceil(profile.signal_delay_s / 60)}"
    if profile.lsf_queue:
        yield f"-q {profile.lsf_queue}"
    if profile.lsf_project:
        yield f"-P {profile.lsf_project}"
    if after:
        yield f'-w "ended({after})"'
    yield from profile.lsf_additional


ENGINE: Final = Lsf()
