"""Work that may crash, hang or change the interpreter it runs in: each item in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that brought no result.

    Args:
        reason: How it ended, in words.
        in_time: Whether it ended by itself, not for taking longer than it may.
    """

    reason: str
    in_time: bool


@dataclass(frozen=True, slots=True)
class _Running(Generic[Item]):
    index: int
    process: BaseProcess
    deadline: float


def each_in_a_process(
    function: Callable[[Item], Result], items: Sequence[Item], *, processes: int, seconds: float, silent: bool = True
) -> Iterator[Result | Ended]:
    """Apply `function` to each item in a process forked for it, several at a time.

    What this process has imported is there already.

    Args:
        function: Its result is pickled; an exception that it lets out ends its process.
        items: In the order of the results.
        processes: How many run at a time.
        seconds: How long each may take before it is killed.
        silent: Whether what the processes print goes nowhere.

    Yields:
        The result of each item, or how its process ended without one, in the order of the items.
    """
    running: dict[Connection, _Running[Item]] = {}
    done: dict[int, Result | Ended] = {}
    started = yielded = 0
    try:
        while yielded < len(items):
            while started < len(items) and len(running) < processes:
                connection, process = _start(function, items[started], silent)
                running[connection] = _Running(started, process, time.monotonic() + seconds)
                started += 1
            until = min(job.deadline for job in running.values())
            for ready in wait(list(running), timeout=max(until - time.monotonic(), 0)):
                assert isinstance(ready, Connection)
                job = running.pop(ready)
                done[job.index] = _received(ready, job.process)
            for connection, job in list(running.items()):
                if time.monotonic() >= job.deadline:
                    del running[connection]
                    _kill(connection, job.process)
                    done[job.index] = Ended(f"not done after {seconds:.0f} s", in_time=False)
            while yielded in done:
                yield done.pop(yielded)
                yielded += 1
    finally:
        for connection, job in running.items():
            _kill(connection, job.process)


def _start(function: Callable[[Item], Result], item: Item, silent: bool) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(function, item, sending, silent))
    with warnings.catch_warnings():
        # Of Python 3.12, that other threads' locks may be held: numpy's threads sleep, and mend themselves on a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sending.close()
    return receiving, process


def _work(function: Callable[[Any], Any], item: Any, sending: Connection, silent: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2) if silent else (0,):
        os.dup2(nowhere, stream)
    sending.send(function(item))
    sending.close()
    os._exit(0)  # the exit handlers are the first process's


def _received(connection: Connection, process: BaseProcess) -> Any:
    try:
        result = connection.recv()
    except (EOFError, OSError):
        process.join()
        code = process.exitcode or 0
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        result = Ended(how, in_time=True)
    _kill(connection, process)
    return result


def _kill(connection: Connection, process: BaseProcess) -> None:
    connection.close()
    process.kill()
    process.join()
    process.close()
