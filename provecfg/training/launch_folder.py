"""What the processes of one run on one machine tell each other, by files in a temporary folder."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provecfg.training.json_file import read_json_file, write_json_file
from provecfg.training.lease import process_start
from provecfg.training.record import Ending

VARIABLE = "PROVECFG_LAUNCH"
"""Names the folder, in the environment of the processes."""

PARENT_VARIABLE = "PROVECFG_PARENT"
"""Each process's number, in the environment of those that it starts."""

_SIGNAL = "signal"
_FAILURE = "failure.{}"
_EXITS = "exits"


@dataclass(frozen=True, slots=True)
class _Process:
    rank: int
    pid: int
    started: int | None


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended that did not end well.

    Args:
        rank: Which of the run's.
        code: Its exit code, negative for a signal.
    """

    rank: int
    code: int


@dataclass(frozen=True, slots=True)
class _Exits:
    exits: tuple[ProcessExit, ...]


class LaunchFolder:
    """The folder.

    The processes train in sessions of their own, as torchrun starts them. So who started it all needs their numbers to
    hand a signal on, and what came before one has entered itself has to wait for it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def enter(self, rank: int) -> None:
        """Called by a process once it listens to signals; gets those that were handed on before.

        Where who started it has ended, there is no folder any more, and nothing to train for.
        """
        if not self.path.is_dir():
            os.kill(os.getpid(), signal.SIGTERM)
            return
        process = _Process(rank, os.getpid(), process_start(os.getpid()))
        write_json_file(self.path / f"process.{process.pid}", process)
        with suppress(FileNotFoundError):
            os.kill(process.pid, int((self.path / _SIGNAL).read_text(encoding="ascii")))

    def hand_on(self, signum: int) -> None:
        """Send a signal to every process, now or when it enters."""
        signal_file = self.path / _SIGNAL
        signal_file.with_suffix(".part").write_text(str(int(signum)), encoding="ascii")
        signal_file.with_suffix(".part").replace(signal_file)
        for process in self._running():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signum)

    def kill(self) -> None:
        """End every process at once."""
        for process in self._running():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until no process is left. They end by themselves once torchrun has."""
        while self._running():
            time.sleep(0.1)

    def tell_failure(self, rank: int, ending: Ending) -> None:
        """Called by a process that fails and does not write the record."""
        write_json_file(self.path / _FAILURE.format(rank), ending)

    def tell_exits(self, exits: tuple[ProcessExit, ...]) -> None:
        """Called by who sees the processes end."""
        write_json_file(self.path / _EXITS, _Exits(exits))

    def failure(self) -> Ending | None:
        """The first failure that a process has told of, the lowest rank first."""
        ranks = sorted(int(path.suffix[1:]) for path in self.path.glob(_FAILURE.format("*")))
        return read_json_file(self.path / _FAILURE.format(ranks[0]), Ending) if ranks else None

    def exits(self) -> tuple[ProcessExit, ...]:
        """The processes that did not end well."""
        told = read_json_file(self.path / _EXITS, _Exits)
        return told.exits if told else ()

    def _running(self) -> list[_Process]:
        processes = [read_json_file(path, _Process) for path in self.path.glob("process.*")]
        return [
            process
            for process in processes
            if process is not None and process.started is not None and process_start(process.pid) == process.started
        ]
