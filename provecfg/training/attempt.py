"""An attempt at a run while it goes on: its lease, its heartbeat, and what the record says of it at its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.training import heartbeat, lease
from provecfg.training import record as records
from provecfg.training.heartbeat import Heartbeat, Pulse
from provecfg.training.lease import Lease, Tenancy
from provecfg.training.preflight import Prepared, prepared_again
from provecfg.training.record import Ending, Record
from provecfg.training.work_dir import clear_partial_files, clear_smoke_run, name_in, set_broken_aside, step_of

if TYPE_CHECKING:
    from provecfg.training.progress import RunStatus

LEASE_VARIABLE = "PROVECFG_LEASE"
"""In the environment of a process of several: number and token of the lease that the one that started it has."""

_RESERVE = ".reserve"
_RESERVE_BYTES = 2**15


@dataclass
class OpenAttempt:
    """An attempt that goes on.

    Args:
        prepared: The run, its work dir as it was when this attempt got it.
        lease: Of the work dir.
        record: With this attempt as its last.
        status: How far the run is, once that is known.
    """

    prepared: Prepared
    lease: Lease
    record: Record
    status: RunStatus | None = None
    _pulse: Pulse = field(init=False)

    def __post_init__(self) -> None:
        self._pulse = Pulse(self.work_dir, self._measure, self.lease.is_held)

    @property
    def work_dir(self) -> Path:
        """The folder."""
        return self.lease.work_dir

    @property
    def is_open(self) -> bool:
        """Whether there is something to do, and it was not closed yet."""
        return self.record.is_open

    def start_pulse(self) -> None:
        """Give a sign of life from now on."""
        self._pulse.start()

    def stop_pulse(self) -> None:
        """Leave that to another process from now on."""
        self._pulse.stop()

    def beat_soon(self) -> None:
        """Give a sign of life now."""
        self._pulse.beat_soon()

    def check_lease(self, *, at_file_server: bool = True) -> None:
        """Stop before going on in a work dir that another process has taken over.

        Args:
            at_file_server: Look now; else go by what the last heartbeat has found.

        Raises:
            LeaseLostError: Another has it.
        """
        if at_file_server:
            self.lease.check()
        elif self._pulse.lost:
            raise lease.LeaseLostError(self.work_dir)

    def close(
        self, ending: Ending, iteration: int, *, best: Mapping[str, Any] | None = None, last: str | None = None
    ) -> None:
        """Say in the record how it ended. In a work dir that is another's by now, nothing is written.

        Raises:
            ProvecfgError: The record cannot be written.
        """
        self.stop_pulse()
        self.record = self.record.closed(ending, iteration, best=best, last=last)
        try:
            self._write_record()
        except OSError as error:
            message = f"{ending.message}; its record in {self.work_dir} cannot be written: {error}".lstrip("; ")
            raise ProvecfgError(message, exit_code=ExitCode.FINDINGS) from error

    def leave(self) -> None:
        """Give the lease back."""
        self.stop_pulse()
        with suppress(OSError):
            if self.lease.is_held():
                (self.work_dir / _RESERVE).unlink(missing_ok=True)
        self.lease.release()

    def _write_record(self) -> None:
        if not self.lease.is_held():
            return
        try:
            self.record.write(self.work_dir)
        except OSError:
            # On a full disk the reserve has kept room for it.
            (self.work_dir / _RESERVE).unlink()
            self.record.write(self.work_dir)

    def _measure(self) -> Heartbeat:
        status = self.status
        if status is None or status.max_iters == 0:
            return Heartbeat(records.now(), self.lease.token, heartbeat.STARTING, step_of(self.prepared.resume_from))
        return Heartbeat(
            time=records.now(),
            token=self.lease.token,
            phase=heartbeat.TRAINING if status.validating is None else heartbeat.VALIDATING,
            iteration=status.iteration,
            max_iters=status.max_iters,
            iters_per_second=status.iters_per_second,
            seconds_left=status.seconds_left,
        )


def begin(prepared: Prepared) -> OpenAttempt:
    """Take the work dir, put it in order, and enter a new attempt in its record.

    What dead processes have left is closed and cleared, a finished smoke run's files are removed, and checkpoints that
    are not whole get another name. Where another process has finished the run meanwhile, nothing is entered, and the
    attempt is not open.

    Raises:
        ProvecfgError: Another process has it, the run cannot go on in it any more, or it cannot be written to.
    """
    path = prepared.work_dir.path
    try:
        taken = lease.acquire(path)
        try:
            prepared = prepared_again(prepared)
            if prepared.is_complete and prepared.work_dir.record is not None:
                attempt = OpenAttempt(prepared, taken, prepared.work_dir.record)
            else:
                attempt = OpenAttempt(prepared, taken, _entered(prepared, taken))
                attempt.start_pulse()
        except BaseException:
            taken.release()
            raise
    except OSError as error:
        raise ProvecfgError(f"{path} cannot be written to: {error.strerror or error}") from error
    return attempt


def join(prepared: Prepared, number_and_token: str) -> OpenAttempt:
    """Go on with the attempt that the process which started this one has begun.

    Args:
        prepared: The run.
        number_and_token: What `shared` gave that process.

    Raises:
        ProvecfgError: The lease was lost in between, or the record with it.
    """
    number, _, token = number_and_token.partition(":")
    shared_lease = Lease(prepared.work_dir.path, int(number), token)
    shared_lease.adopt()
    if prepared.work_dir.record is None:
        raise ProvecfgError(f"{prepared.work_dir.path / records.FILENAME} is gone")
    attempt = OpenAttempt(prepared, shared_lease, prepared.work_dir.record)
    attempt.start_pulse()
    return attempt


def shared(attempt: OpenAttempt) -> str:
    """The lease, for `LEASE_VARIABLE` of the process that trains."""
    return f"{attempt.lease.generation}:{attempt.lease.token}"


def _entered(prepared: Prepared, taken: Lease) -> Record:
    """The record with the new attempt, written to a work dir that was put in order."""
    path, work_dir = taken.work_dir, prepared.work_dir
    clear_partial_files(path, prepared.path.name)
    clear_smoke_run(work_dir)
    set_broken_aside(work_dir)
    record = _new_record(prepared, taken)
    record.write(path)
    records.keep_sources(path, prepared.files)
    (path / _RESERVE).write_bytes(os.urandom(_RESERVE_BYTES))  # not zeros, which some file systems do not store
    return record


def _new_record(prepared: Prepared, taken: Lease) -> Record:
    config, options, work_dir = prepared.config, prepared.options, prepared.work_dir
    earlier = work_dir.record
    if earlier is not None and (work_dir.starts_anew or earlier.differences(prepared.fingerprint)):
        earlier = None
    if earlier is not None and earlier.is_open:
        earlier = _closed_for_the_dead(earlier, prepared, taken)
    text = prepared.files[next(iter(prepared.files))]
    resumed = earlier if prepared.resume_from is not None else None
    record = Record(
        name=prepared.name,
        config=records.config_facts(prepared.path.absolute(), text),
        fingerprint=prepared.fingerprint,
        smoke=options.smoke,
        max_iters=config.train_cfg.get("max_iters"),
        seed=(config.get("randomness") or {}).get("seed"),
        versions=records.versions(),
        git=records.git_state(prepared.path.absolute().parent),
        attempts=earlier.attempts if earlier else (),
        best=resumed.best if resumed else None,
        last_checkpoint=name_in(work_dir.path, prepared.resume_from),
        stopping=prepared.stopping,
    )
    return record.started(
        records.new_attempt(
            first_iter=step_of(prepared.resume_from),
            command=options.command,
            device=prepared.device,
            processes=options.processes,
        )
    )


def _closed_for_the_dead(record: Record, prepared: Prepared, taken: Lease) -> Record:
    """The record of a run whose process was killed before it could close it."""
    beat = heartbeat.read_heartbeat(taken.work_dir)
    last_sign = f", last heard of at {beat.time} in iteration {beat.iteration}" if beat else ""
    if taken.replaced is Tenancy.REQUEUED:
        ending = Ending(records.INTERRUPTED, f"its scheduler ended it and started the job again{last_sign}")
    else:
        ending = Ending(records.LOST, f"its process was killed{last_sign}", cause=records.KILLED)
    iteration = max(record.attempts[-1].first_iter, step_of(prepared.resume_from))
    return record.closed(ending, iteration, at=beat.time if beat else None)
