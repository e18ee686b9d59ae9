"""A queue on this machine: as many cells at once as there are slots, each with devices of its own.

The queue keeps nothing: what is durable is each cell's own record, and a queue that was killed is started again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provecfg.engines.cell_process import CellProcess, LifeEnd, Verdict
from provecfg.engines.lives import MOST_EQUAL_FAILURES, Lives, kind_of_failure
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopRequested, StopSignals
from provecfg.parallel import processors

_POLL_SECONDS: Final = 0.1
_PROCESSORS_A_CELL: Final = 2


@dataclass(frozen=True, slots=True)
class QueuedCell:
    """A cell for the queue.

    Args:
        name: For people, and no other cell's.
        config: What to train.
        work_dir: Where.
    """

    name: str
    config: Path
    work_dir: Path


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one cell at a time.

    Args:
        number: From 0.
        environment: What a cell in it gets.
    """

    number: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a cell.

    Args:
        cell: Which.
        end: How a life of it ended; None where one has begun.
        will_retry: Whether it is started again.
    """

    cell: QueuedCell
    end: LifeEnd | None
    will_retry: bool = False


def slots_for(parallel: int | None, gpus_per_run: int, devices: Sequence[str] | None, *, on_cpu: bool) -> list[Slot]:
    """The slots of this machine.

    Args:
        parallel: How many; None for as many as the devices allow.
        gpus_per_run: GPUs of each.
        devices: As CUDA_VISIBLE_DEVICES names them; None for all that this process may see.
        on_cpu: Whether nothing is to use a GPU.

    Raises:
        ProvecfgError: There are fewer GPUs than one cell is to have.
    """
    named = [] if on_cpu else list(devices if devices is not None else visible_devices())
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise ProvecfgError(f"--devices names {twice} twice", hint="--parallel N has N cells share the GPUs")
    if not named:
        if devices is not None and not on_cpu:
            raise ProvecfgError("--devices names none")
        count = parallel or max(1, processors() // _PROCESSORS_A_CELL)
        threads = str(max(1, processors() // count))
        return [Slot(number, {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}) for number in range(count)]
    most = len(named) // gpus_per_run
    if most == 0:
        raise ProvecfgError(f"--gpus-per-run {gpus_per_run}, and there are {len(named)} GPUs: {', '.join(named)}")
    count = parallel or most
    groups = [named[index * gpus_per_run : (index + 1) * gpus_per_run] for index in range(most)]
    # More slots than GPUs share them, as they were asked to.
    return [Slot(number, {"CUDA_VISIBLE_DEVICES": ",".join(groups[number % most])}) for number in range(count)]


def visible_devices() -> list[str]:
    """The GPUs that this process may use: as CUDA_VISIBLE_DEVICES says, else all that nvidia-smi lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]
    if shutil.which("nvidia-smi") is None:
        return []
    with suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=True)
        return [str(number) for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]
    return []


class LocalQueue:
    """Trains cells in slots until none is left.

    Args:
        cells: In the order in which they are begun.
        slots: Where.
        words: Options of `provecfg run` for each.
        retries: How often a cell is tried again that was killed.
        fail_fast: Begin nothing more after the first failure.
        tell: Called with everything that happens.
        tick: Called several times a second with the cells that are being trained.
    """

    def __init__(
        self,
        cells: Sequence[QueuedCell],
        slots: Sequence[Slot],
        words: Sequence[str],
        *,
        retries: int = 1,
        fail_fast: bool = False,
        tell: Callable[[Event], None] = lambda event: None,
        tick: Callable[[Sequence[QueuedCell]], None] = lambda cells: None,
    ) -> None:
        self._waiting = deque(cells)
        self._free = deque(slots)
        self._words = words
        self._lives = {cell: Lives(retries) for cell in cells}
        self._running: dict[CellProcess, tuple[QueuedCell, Slot]] = {}
        self._fail_fast = fail_fast
        self._tell, self._tick = tell, tick
        self._failures: Counter[str] = Counter()
        self._handed_on = False
        self.ends: dict[str, LifeEnd] = {}
        """Name of a cell -> how its last life ended."""
        self.stopped_by: str | None = None
        """Why nothing more is begun, or None."""

    def run(self, signals: StopSignals) -> ExitCode:
        """Train them all.

        The first signal is handed on to every cell, and its end is waited for; a second one ends them at once.

        Args:
            signals: Those that this process listens to.

        Returns:
            `CLEAN` where every cell is complete.
        """
        signals.defer()
        try:
            while self._running or (self._waiting and self.stopped_by is None):
                if signals.received is not None and not self._handed_on:
                    self._hand_on(signals.received)
                while self._free and self._waiting and self.stopped_by is None:
                    self._begin(self._waiting.popleft(), self._free.popleft())
                self._tick([cell for cell, _ in self._running.values()])
                first = next(iter(self._running), None)
                if first is not None:
                    first.wait(_POLL_SECONDS)
                for process in self._ended():
                    self._close(process)
        except StopRequested:
            signals.finish()
        finally:
            for process in self._running:
                process.send(signal.SIGKILL)
            for process in list(self._running):
                self._close(process)
        if signals.received is not None:
            return ExitCode.REQUEUE if signals.asks_requeue else ExitCode.INTERRUPTED
        is_clean = all(end.verdict in (Verdict.DONE, Verdict.ELSEWHERE) for end in self.ends.values())
        return ExitCode.CLEAN if is_clean and not self._waiting else ExitCode.FINDINGS

    @property
    def not_begun(self) -> list[QueuedCell]:
        """The cells that wait."""
        return list(self._waiting)

    def _hand_on(self, signum: int) -> None:
        self._handed_on = True
        self.stopped_by = "a signal"
        for process in self._running:
            process.send(signum)

    def _begin(self, cell: QueuedCell, slot: Slot) -> None:
        try:
            process = CellProcess(cell.config, cell.work_dir, self._words, slot.environment, name=cell.name)
        except ProvecfgError as error:
            self._free.append(slot)
            self._take(cell, LifeEnd(Verdict.FAILED, str(error), 0), will_retry=False)
            return
        self._running[process] = (cell, slot)
        self._tell(Event(cell, None))

    def _ended(self) -> Iterator[CellProcess]:
        yield from [process for process in self._running if not process.is_running()]

    def _close(self, process: CellProcess) -> None:
        cell, slot = self._running.pop(process)
        self._free.append(slot)
        end = process.end()
        will_retry = not self._handed_on and self._lives[cell].goes_on(end, process.iteration_before)
        if will_retry:
            self._waiting.append(cell)
        self._take(cell, end, will_retry=will_retry)

    def _take(self, cell: QueuedCell, end: LifeEnd, *, will_retry: bool) -> None:
        self.ends[cell.name] = end
        self._tell(Event(cell, end, will_retry))
        if will_retry or end.verdict not in (Verdict.FAILED, Verdict.KILLED):
            return
        kind = kind_of_failure(end.message)
        self._failures[kind] += 1
        if self._fail_fast:
            self.stopped_by = self.stopped_by or f"{cell.name} has failed"
        elif self._failures[kind] >= MOST_EQUAL_FAILURES:
            self.stopped_by = self.stopped_by or f"{MOST_EQUAL_FAILURES} cells have failed alike: {end.message}"
