"""Where each cell stands: its record, lease and heartbeat joined with what its engine says. Executes nothing."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from provecfg.errors import ProvecfgError
from provecfg.ledger.refusal import read_refusal
from provecfg.training import record as records
from provecfg.training.heartbeat import read_heartbeat
from provecfg.training.lease import LeaseState, Tenancy, look_at_lease, server_time_of
from provecfg.training.record import Record, read_record

_DEEPEST: Final = 3
"""Folders below a folder of work dirs in which they are looked for."""


class State(enum.Enum):
    """Where a cell stands."""

    WAITING = "waiting"
    """Nobody has been asked to train it, or was told not to before it began."""
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "early-stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    """Its process was killed, and nobody has started it again."""
    MISSING = "missing"
    """Its engine has no more of it, and it left no record; or its work dir is gone."""
    UNREADABLE = "unreadable"
    """Its record is broken."""

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to train."""
        return self in (State.FINISHED, State.STOPPED)

    @property
    def is_under_way(self) -> bool:
        """Whether somebody trains it, or will without being asked again."""
        return self in (State.QUEUED, State.RUNNING)


class TaskState(enum.Enum):
    """What an engine says of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Task:
    """A task of an engine.

    Args:
        state: What the engine says.
        reason: In the engine's words, or ''.
        is_cancelled: Whether the engine was told by us to end it.
    """

    state: TaskState
    reason: str = ""
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class CellStatus:
    """Where a cell stands.

    Args:
        id: Of the cell; of a work dir outside of a study, its path from the folder that was asked for.
        state: Where it stands.
        reason: Why, or ''.
        iteration, max_iters: Done, and to be done; None where that is not known.
        iters_per_second: While it runs, or None.
        seconds_left: To its last iteration, validations included; None where that cannot be told.
        best: Metric, value and checkpoint, or None before the first validation.
        holder: Who trains it, or ''.
        attempts: How often it was begun.
        work_dir: Its folder.
        is_stale: Whether its config has changed since it was submitted.
    """

    id: str
    state: State
    reason: str = ""
    iteration: int | None = None
    max_iters: int | None = None
    iters_per_second: float | None = None
    seconds_left: float | None = None
    best: Mapping[str, Any] | None = None
    holder: str = ""
    attempts: int = 0
    work_dir: str = ""
    is_stale: bool = False


def server_clock(folder: Path) -> Callable[[], float]:
    """The time of a folder's file server, asked once; this machine's where the folder cannot be written to."""

    @cache
    def offset() -> float:
        return server_time_of(folder) - time.time()

    return lambda: time.time() + offset()


def status_of(
    identity: str,
    work_dir: Path,
    clock: Callable[[], float],
    task: Task | None = None,
    *,
    is_submitted: bool = False,
    is_stale: bool = False,
) -> CellStatus:
    """Where a cell stands.

    Args:
        identity: Its id.
        work_dir: Its folder.
        clock: See `server_clock`.
        task: What its engine says; None where there is none to ask.
        is_submitted: Whether its work dir was made at its submission, so that one that is not there is gone.
        is_stale: Whether its config has changed since.
    """

    def status(state: State, reason: str = "", **fields: Any) -> CellStatus:
        return CellStatus(identity, state, reason, work_dir=str(work_dir), is_stale=is_stale, **fields)

    if is_submitted and not work_dir.is_dir():
        return status(State.MISSING, "its work dir is gone")
    try:
        record = read_record(work_dir)
        lease = look_at_lease(work_dir, clock)
    except ProvecfgError as error:
        return status(State.UNREADABLE, error.message)
    except OSError as error:
        return status(State.UNREADABLE, f"{error.filename or work_dir}: {error.strerror or error}")
    if record is None or not record.attempts:
        return status(*_before_the_first_attempt(work_dir, lease, task))
    state, reason = _of_record(record, work_dir, lease, task)
    beat = read_heartbeat(work_dir) if state is State.RUNNING else None
    last = record.attempts[-1]
    done = last.last_iter if last.last_iter is not None else last.first_iter
    return status(
        state,
        reason,
        iteration=max(done, beat.iteration) if beat else done,
        max_iters=record.max_iters,
        iters_per_second=beat.iters_per_second if beat else None,
        seconds_left=beat.seconds_left if beat else None,
        best=record.best,
        holder=str(lease.holder) if state is State.RUNNING and lease.holder else "",
        attempts=len(record.attempts),
    )


def work_dirs_below(folder: Path) -> Iterator[Path]:
    """The folders with a record that a folder is or has below it, by name. What lies within one is none."""
    for parent, folders, files in os.walk(folder):
        path = Path(parent)
        if records.FILENAME in files:
            folders.clear()
            yield path
        elif len(path.relative_to(folder).parts) >= _DEEPEST:
            folders.clear()
        folders.sort()


def _before_the_first_attempt(work_dir: Path, lease: LeaseState, task: Task | None) -> tuple[State, str]:
    if _is_training(lease, task):
        return State.RUNNING, "starting"
    if task is not None and task.state is not TaskState.ENDED:
        return _of_task(task)
    refusal = read_refusal(work_dir)
    if refusal is not None:
        return State.FAILED, refusal.message
    if task is not None and task.is_cancelled:
        return State.WAITING, "cancelled before it began"
    if task is not None:
        return State.MISSING, f"its engine has ended it ({task.reason or 'no reason given'}), and it left no record"
    return State.WAITING, ""


def _of_record(record: Record, work_dir: Path, lease: LeaseState, task: Task | None) -> tuple[State, str]:
    if record.state in (records.FINISHED, records.STOPPED):
        return State(record.state), ""
    if _is_training(lease, task):
        return State.RUNNING, ""
    last = record.attempts[-1]
    if task is not None and task.state is not TaskState.ENDED:
        return _of_task(task)
    refusal = read_refusal(work_dir)
    if refusal is not None and refusal.time >= (last.ended or last.started):
        return State.FAILED, refusal.message
    if record.is_open:
        beat = read_heartbeat(work_dir)
        heard = f"; last heard of at {beat.time} in iteration {beat.iteration}" if beat else ""
        return State.LOST, f"its process was killed{heard}"
    return State(record.state), last.message


def _is_training(lease: LeaseState, task: Task | None) -> bool:
    """Whether the lease's holder lives. Of a machine that was lost the scheduler knows so first."""
    if lease.tenancy is not Tenancy.HELD:
        return False
    holder = lease.holder
    if task is None or task.state is TaskState.RUNNING or holder is None:
        return True
    return holder.job is None or holder.is_on_this_machine()


def _of_task(task: Task) -> tuple[State, str]:
    return (State.QUEUED if task.state is TaskState.QUEUED else State.RUNNING), task.reason
