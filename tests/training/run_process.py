"""Commands, and runs above all, as processes of their own, forked from one that has the stack imported."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from provecfg import cli
from provecfg.interruption import hold
from provecfg.training.record import Record, read_record

_SECONDS = 300


class CommandProcess:
    """A command of provecfg that goes on in a process, and a session, of its own.

    Args:
        words: The command line.
        output: The file that it prints to.
        environment: Added to this process's.
        prepare: Called in the process before anything else.
    """

    def __init__(
        self,
        words: Sequence[object],
        output: Path,
        *,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.output = output
        with warnings.catch_warnings():
            # Python 3.12 warns of forking beside threads: torch's, which the child does not use.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _run_and_exit([str(word) for word in words], output, environment or {}, prepare)
        self._code: int | None = None

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text() if self.output.exists() else ""

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send(self, signum: int, *, to_group: bool = False) -> None:
        """Send a signal to it, or to all of its session."""
        if self.code is None:
            (os.killpg if to_group else os.kill)(self.pid, signum)

    def ended(self) -> int:
        """Wait for its end, and return its exit code."""
        self.wait_until(lambda: False)
        assert self.code is not None
        return self.code

    def wait_until(self, claim: Callable[[], Any]) -> None:
        """Wait until something is so, or it has ended."""
        for _ in range(_SECONDS * 100):
            if self.code is not None or claim():
                return
            time.sleep(0.01)
        self.send(signal.SIGKILL)
        raise AssertionError(f"nothing happened in {_SECONDS} s:\n{self.text}")


class RunProcess(CommandProcess):
    """A run.

    Args:
        config: What to train.
        work_dir: Where.
        words: Further options.
        how: As `CommandProcess` takes it.
    """

    def __init__(self, config: Path, work_dir: Path, *words: object, **how: Any) -> None:
        self.work_dir = work_dir
        command = ["run", config, "--device", "cpu", "--work-dir", work_dir, *words]
        super().__init__(command, work_dir.with_name(f"{work_dir.name}.{time.monotonic_ns()}.txt"), **how)

    def wait_for_file(self, pattern: str) -> None:
        """Wait until there is a file in the work dir."""
        self.wait_until(lambda: any(self.work_dir.glob(pattern)))


def _run_and_exit(
    arguments: list[str], output: Path, environment: Mapping[str, str], prepare: Callable[[], None] | None
) -> None:
    code = 99
    try:
        os.setsid()
        os.environ.update(environment)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        if prepare is not None:
            prepare()
        if arguments[0] == "run":
            hold()
        code = cli.run(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def record_in(work_dir: Path) -> Record:
    """The record of a run that has begun."""
    record = read_record(work_dir)
    assert record is not None
    return record


def lives(work_dir: Path) -> list[tuple[str, int, int | None]]:
    """State, first and last iteration of each attempt."""
    return [(attempt.state, attempt.first_iter, attempt.last_iter) for attempt in record_in(work_dir).attempts]


def scalars(work_dir: Path) -> list[dict[str, Any]]:
    """What was logged, in the order of time."""
    files = sorted(work_dir.glob("*/vis_data/scalars.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
