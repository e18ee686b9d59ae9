"""What a work dir keeps of its run: `provecfg.json`, and the config's own text in `source/`. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from provecfg import __version__
from provecfg.errors import ProvecfgError
from provecfg.header import Header
from provecfg.paths import write_atomically
from provecfg.training.job import Job, current_job
from provecfg.training.json_file import BrokenFileError, read_json_file, write_json_file

FILENAME = "provecfg.json"
SOURCE = "source"
"""Folder in the work dir: the config's files as they were written."""

_FORMAT = 1
_PACKAGES = (
    "torch",
    "numpy",
    "onedl-mmengine",
    "onedl-mmcv",
    "onedl-mmsegmentation",
    "onedl-mmdetection",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmsegmentation",
    "mmdet",
)

RUNNING, FINISHED, STOPPED = "running", "finished", "early-stopped"
INTERRUPTED, FAILED, LOST = "interrupted", "failed", "lost"
"""The states of a run. One that was killed stays `running` until whoever comes next closes it as `lost`."""

OUT_OF_MEMORY, NOT_FINITE, DISK_FULL, LEASE_LOST, KILLED, OTHER = (
    "out-of-memory",
    "loss-not-finite",
    "disk-full",
    "lease-lost",
    "killed",
    "error",
)
"""The causes of a failure, for those who decide whether to try again. The first two would come again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process's part of a run: from its start or resume to its end.

    Args:
        started, ended: ISO 8601, UTC.
        first_iter: Iterations done before it.
        last_iter: Iterations done after it, of which the checkpoints know; None while it runs.
        state: How it ended.
        message: Why, where there is more to say.
        cause: Of a failure: one of the causes. Else ''.
        requeue: It was ended by a signal that asks for the run to be started again.
        command: The words that started it.
        device: What it trained on.
        processes: How many trained together.
        host, pid: Where it ran.
        job: Of a scheduler, or None.
    """

    started: str
    first_iter: int
    command: tuple[str, ...]
    device: str
    processes: int
    host: str
    pid: int
    job: Job | None = None
    ended: str | None = None
    last_iter: int | None = None
    state: str = RUNNING
    message: str = ""
    cause: str = ""
    requeue: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends.

    Args:
        state: One of the states but `running`.
        message, cause, requeue: As in `Attempt`.
    """

    state: str
    message: str = ""
    cause: str = ""
    requeue: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A run as its work dir keeps it.

    Args:
        name: The config's name.
        config: Path as given, SHA-256 of the text, and the study, its digest, the version and the cell if its header
            names them.
        fingerprint: Part of the config -> digest of all that decides what is trained; see `training.fingerprint`.
        stopping: Digest of what may end the run before its last iteration; see `fingerprint.stopping_of`.
        smoke: Whether this is a check on drawn data.
        max_iters: Where it ends by itself; None for a loop that counts epochs.
        seed: As the config says.
        versions: Python's and the packages'.
        git: Commit of the config's repository and whether files differ from it, or None.
        attempts: In order of time.
        best: Metric, value, and the file in the work dir, or None before the first validation.
        last_checkpoint: File in the work dir to go on from, or None.
    """

    name: str
    config: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    smoke: bool
    max_iters: int | None
    seed: int | None
    versions: Mapping[str, str]
    git: Mapping[str, Any] | None
    attempts: tuple[Attempt, ...] = ()
    best: Mapping[str, Any] | None = None
    last_checkpoint: str | None = None
    stopping: str = ""
    format: int = field(default=_FORMAT)

    @property
    def state(self) -> str:
        """How the last attempt ended."""
        return self.attempts[-1].state if self.attempts else RUNNING

    @property
    def is_open(self) -> bool:
        """Whether its last attempt was not closed: it runs, or was killed."""
        return bool(self.attempts) and self.state == RUNNING

    def write(self, work_dir: Path) -> None:
        """Write it to the work dir, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        write_json_file(work_dir / FILENAME, self)

    def started(self, attempt: Attempt) -> Record:
        """The record with a new attempt."""
        return dataclasses.replace(self, attempts=(*self.attempts, attempt))

    def closed(
        self,
        ending: Ending,
        iteration: int,
        *,
        best: Mapping[str, Any] | None = None,
        last: str | None = None,
        at: str | None = None,
    ) -> Record:
        """The record with its last attempt ended.

        Args:
            ending: How.
            iteration: Iterations done.
            best: Metric, value and file, if there are newer ones.
            last: The last checkpoint, if there is a newer one.
            at: When, ISO 8601; now if None.
        """
        attempt = dataclasses.replace(
            self.attempts[-1],
            ended=at or now(),
            last_iter=iteration,
            state=ending.state,
            message=ending.message,
            cause=ending.cause,
            requeue=ending.requeue,
        )
        return dataclasses.replace(
            self,
            attempts=(*self.attempts[:-1], attempt),
            best=best or self.best,
            last_checkpoint=last or self.last_checkpoint,
        )

    def differences(self, fingerprint: Mapping[str, str]) -> list[str]:
        """The parts of the config that train something else than this run did."""
        parts = sorted({*self.fingerprint, *fingerprint})
        return [part for part in parts if self.fingerprint.get(part) != fingerprint.get(part)]

    def is_complete(self, fingerprint: Mapping[str, str], stopping: str) -> bool:
        """Whether a run of such a config has nothing left to do: it reached its last iteration, or stopped early by
        the rule that still holds."""
        ended = self.state == FINISHED or (self.state == STOPPED and self.stopping == stopping)
        return ended and not self.differences(fingerprint)


def read_record(work_dir: Path) -> Record | None:
    """The record of a work dir, or None if there is none.

    Raises:
        ProvecfgError: There is a file of that name which is not a record.
    """
    path = work_dir / FILENAME
    try:
        return read_json_file(path, Record)
    except (BrokenFileError, OSError) as error:
        raise ProvecfgError(
            f"{path} is not a record of a run: {error}",
            hint="move it away, and the run goes on from the checkpoints that are there; or choose another --work-dir",
        ) from error


def new_attempt(*, first_iter: int, command: Sequence[str], device: str, processes: int) -> Attempt:
    """An attempt that starts now, in this process."""
    return Attempt(
        started=now(),
        first_iter=first_iter,
        command=tuple(command),
        device=device,
        processes=processes,
        host=socket.gethostname(),
        pid=os.getpid(),
        job=current_job(),
    )


def now() -> str:
    """The time, ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def config_facts(path: Path, text: str) -> dict[str, Any]:
    """What identifies a config: its path, the digest of its text, and what its header says about its study."""
    facts: dict[str, Any] = {"path": str(path), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    header = Header.of(text)
    if header is not None:
        facts |= {"written_by": header.version, "study": header.study, "study_digest": header.digest}
        if header.cell is not None:
            facts["cell"] = header.cell._asdict()
    return facts


def keep_sources(work_dir: Path, files: Mapping[Path, str]) -> None:
    """Write the config's files to `source/`, with the folders that tell them apart."""
    common = Path(os.path.commonpath([file.parent for file in files]))
    for file, text in files.items():
        write_atomically(work_dir / SOURCE / file.relative_to(common), text)


def versions() -> dict[str, str]:
    """Of Python, provecfg and the packages that decide the numbers."""
    installed = {"python": platform.python_version(), "provecfg": __version__}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[package] = metadata.version(package)
    return installed


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit checked out around `folder`, and whether tracked files differ from it; None outside of git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=5, check=True)
        return done.stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None
