"""One life of a cell: `provecfg run` as a child process, whose console goes to the work dir, and how it ended.

Light beside it: no torch is imported here. Signals are handed on once; the child ends in good order by itself.
"""

from __future__ import annotations

import enum
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import SIGNALS, end_with_parent
from provecfg.ledger.cell_logs import CONSOLE
from provecfg.ledger.refusal import Refusal, clear_refusal
from provecfg.ledger.study_folder import make_folder
from provecfg.training import record as records
from provecfg.training.lease import ENDED_HOLDER, Tenancy, look_at_lease
from provecfg.training.record import Record, read_record
from provecfg.training.work_dir import checkpoints_of, step_of

PARENT_VARIABLE: Final = "PROVECFG_ENGINE_PROCESS"
"""In the child's environment: this process's number. When this process dies, the kernel sends the child SIGTERM."""

_TAIL_BYTES: Final = 8000
_ERROR = re.compile(r"(?:^|: )error\b")


class Verdict(enum.Enum):
    """What to do with a cell after a life."""

    DONE = "done"
    """It is complete."""
    AGAIN = "again"
    """It stopped at a checkpoint and asks to be started again."""
    STOPPED = "stopped"
    """A signal ended it, which did not ask for more."""
    KILLED = "killed"
    """Something ended it that may not come again."""
    FAILED = "failed"
    """What it failed of would come again."""
    ELSEWHERE = "elsewhere"
    """Another process trains it."""


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """How a life ended.

    Args:
        verdict: What to do.
        message: Why, in words.
        iteration: Iterations that are kept.
    """

    verdict: Verdict
    message: str
    iteration: int


class CellProcess:
    """A life of a cell that goes on.

    Args:
        config: What to train.
        work_dir: Where; its console goes to `console.log` there.
        words: Further options of `provecfg run`.
        environment: Added to this process's.
        name: Of the cell, for people.
    """

    def __init__(
        self,
        config: Path,
        work_dir: Path,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.config, self.work_dir = config, work_dir
        self.name = name or config.stem
        self.iteration_before = iteration_kept(work_dir)
        self._sent: int | None = None
        self._ended_holder = (environment or {}).get(ENDED_HOLDER)
        self._console = work_dir / CONSOLE
        command = run_command(config, work_dir, words)
        try:
            make_folder(work_dir)
            clear_refusal(work_dir)
            console = open(self._console, "ab")  # noqa: SIM115  (closed below)
        except OSError as error:
            raise ProvecfgError(
                f"{error.filename or work_dir}: {error.strerror or error}", exit_code=ExitCode.FINDINGS
            ) from error
        self._console_start = console.tell()
        # Born with them blocked, the child receives those that come before it listens.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {}), PARENT_VARIABLE: str(os.getpid())},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
            console.close()

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._child.pid

    def is_running(self) -> bool:
        """Whether the child runs."""
        return self._child.poll() is None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(seconds)
        return not self.is_running()

    def send(self, signum: int) -> None:
        """Hand a signal on."""
        self._sent = signum
        if self.is_running():
            self._child.send_signal(signum)

    def end(self) -> LifeEnd:
        """How it ended; leaves the reason in the work dir where the record has none."""
        code = self._child.wait()
        record = _readable_record(self.work_dir)
        verdict, message = self._judged(code, record)
        told = record.attempts[-1].message if record is not None and record.attempts else None
        if verdict is Verdict.FAILED and message != told:
            Refusal(records.now(), message).write(self.work_dir)
        return LifeEnd(verdict, message, iteration_kept(self.work_dir))

    def _judged(self, code: int, record: Record | None) -> tuple[Verdict, str]:
        if code == ExitCode.CLEAN:
            return Verdict.DONE, record.state if record is not None else "done"
        if code == ExitCode.REQUEUE:
            return Verdict.AGAIN, "stopped at a checkpoint, to be started again"
        if code == ExitCode.INTERRUPTED:
            return Verdict.STOPPED, record.attempts[-1].message if record and record.attempts else "interrupted"
        if code < 0:
            name = signal.Signals(-code).name
            if self._sent is not None and -code != signal.SIGKILL:
                return Verdict.STOPPED, f"{name} before it listened"
            return Verdict.KILLED, f"killed by {name}"
        last = record.attempts[-1] if record is not None and record.attempts else None
        if last is not None and last.state == records.FAILED and last.pid == self.pid:
            is_transient = last.cause in (records.KILLED, records.LEASE_LOST)
            return (Verdict.KILLED if is_transient else Verdict.FAILED), last.message
        with suppress(OSError):
            state = look_at_lease(self.work_dir)
            is_gone = state.holder is not None and state.holder.token == self._ended_holder
            if state.tenancy is Tenancy.HELD and not is_gone:
                return Verdict.ELSEWHERE, f"already being trained by {state.holder or 'another process'}"
        return Verdict.FAILED, self._last_words() or self._what_took_its_words() or f"ended with exit code {code}"

    def _what_took_its_words(self) -> str:
        """Why a life that has failed may have left no word."""
        if not self.work_dir.is_dir():
            return f"{self.work_dir} is gone"
        return f"{self.work_dir}: no space left on device" if shutil.disk_usage(self.work_dir).free == 0 else ""

    def _last_words(self) -> str:
        """The first error that this life has printed, else its last line."""
        with suppress(OSError), open(self._console, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(self._console_start, size - _TAIL_BYTES))
            lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
            return next((line for line in lines if _ERROR.search(line)), lines[-1] if lines else "")
        return ""


def run_command(config: Path, work_dir: Path, words: Sequence[str]) -> list[str]:
    """The words that train a cell."""
    return [sys.executable, "-m", "provecfg", "run", str(config), "--work-dir", str(work_dir), *words]


def end_with_engine() -> None:
    """In a process that `CellProcess` has started: end in good order when the process that did so dies."""
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None:
        end_with_parent(signal.SIGTERM, int(parent))


def _readable_record(work_dir: Path) -> Record | None:
    with suppress(ProvecfgError):
        return read_record(work_dir)
    return None


def iteration_kept(work_dir: Path) -> int:
    """Iterations that the record or a checkpoint of a work dir knows of."""
    record, checkpoints = _readable_record(work_dir), checkpoints_of(work_dir)
    last = record.attempts[-1] if record is not None and record.attempts else None
    done = 0 if last is None else last.first_iter if last.last_iter is None else last.last_iter
    return max(done, step_of(next(iter(checkpoints), None)))
