"""Kubernetes: the manifest of an Indexed Job, for `kubectl apply`. No client: it is written, not submitted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from provecfg.engines.task_script import job_name, profile_in, title
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import Task
from provecfg.ledger.study_folder import EngineJobs, Submission
from provecfg.training.job import Job

_WRONG = "only the manifest of a Kubernetes Job is made here"


class Kubernetes:
    """See `engine.Engine`."""

    def require_here(self) -> None:
        raise ProvecfgError(_WRONG, hint="provecfg submit ... --print | kubectl apply -f -")

    def script(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> str:
        profile = profile_in(submission)
        if profile.kubernetes_image is None or profile.kubernetes_volume_claim is None:
            raise ProvecfgError("a Kubernetes Job needs kubernetes_image and kubernetes_volume_claim in the profile")
        if profile.nodes > 1:
            raise ProvecfgError("nodes: a cell on several machines is not supported on Kubernetes", hint="set nodes: 1")
        folder = PurePosixPath(profile.kubernetes_mount_path, study_dir.name)
        command = f"provecfg cell {shlex.quote(str(folder))} {submission.number} $JOB_COMPLETION_INDEX"
        limits: dict[str, Any] = {}
        if profile.gpus_per_node:
            limits["nvidia.com/gpu"] = profile.gpus_per_node
        if profile.cpus_per_task:
            limits["cpu"] = str(profile.cpus_per_task)
        if profile.mem_gb:
            limits["memory"] = f"{round(profile.mem_gb * 1024)}Mi"
        container = {
            "name": "cell",
            "image": profile.kubernetes_image,
            "command": ["/bin/bash", "-c", "\n".join([*profile.setup, f"exec {command}"])],
            "workingDir": profile.kubernetes_mount_path,
            "resources": {"limits": limits},
            "volumeMounts": [{"name": "study", "mountPath": profile.kubernetes_mount_path}],
        }
        claim = {"name": "study", "persistentVolumeClaim": {"claimName": profile.kubernetes_volume_claim}}
        count = len(submission.tasks)
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": _as_label(f"{job_name(submission, profile)}-{submission.number}"),
                **({"namespace": profile.kubernetes_namespace} if profile.kubernetes_namespace else {}),
            },
            "spec": {
                "completionMode": "Indexed",
                "completions": count,
                "parallelism": min(count, profile.array_parallelism or count),
                # A pod that was evicted, or stopped at a checkpoint, comes again; a cell that failed is over at once.
                "backoffLimitPerIndex": profile.max_num_timeout,
                "maxFailedIndexes": count,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "terminationGracePeriodSeconds": profile.signal_delay_s,
                        "containers": [container],
                        "volumes": [claim],
                    }
                },
                "podFailurePolicy": {
                    "rules": [
                        {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1, 2]}},
                    ]
                },
            },
        }
        return f"# {title(submission)}\n{yaml.safe_dump(job, sort_keys=False)}"

    def submit(self, study_dir: Path, submission: Submission, *, after: str | None = None) -> EngineJobs:
        raise ProvecfgError(_WRONG, hint="provecfg submit ... --print | kubectl apply -f -")

    def task_states(self, study_dir: Path, submission: Submission) -> Mapping[int, Task]:
        return {}

    def cancel(self, study_dir: Path, submission: Submission, tasks: Sequence[int] | None = None) -> None:
        raise ProvecfgError(_WRONG, hint="kubectl delete job NAME")

    def has_ended(self, job: Job) -> bool:
        return False  # its pods have no job of a scheduler's

    def requeue_this_task(self) -> bool:
        return False  # the Job's controller does, by the exit code


def _as_label(name: str) -> str:
    """A name that Kubernetes takes: RFC 1123, 63 characters."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]


ENGINE: Final = Kubernetes()
