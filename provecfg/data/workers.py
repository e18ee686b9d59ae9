"""Files looked at in several processes, under a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from provecfg.errors import ExitCode, ProvecfgError

_FEW = 64  # files that are looked at sooner than processes start
_CHUNK = 8  # files that a process is handed at once

Item = TypeVar("Item")
Result = TypeVar("Result")


def results_of(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> Iterator[Result]:
    """The results of a function, in the order of the items.

    Args:
        function: One that a process can import.
        items: What it is called with, one by one.
        processes: How many; as many as the machine has cores for this process unless given.

    Raises:
        ProvecfgError: A process was ended from outside.
    """
    processes = min(processes or _cores(), -(-len(items) // _CHUNK))
    if processes <= 1 or len(items) <= _FEW:
        yield from map(function, items)
        return
    # Spawned, since the bar has a thread, and a process with threads is not safely forked.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_leave_interrupts_to_the_parent)
    try:
        yield from pool.map(function, items, chunksize=_CHUNK)
    except BrokenProcessPool as error:
        raise ProvecfgError(
            "a process that counted labels was ended from outside, for want of memory perhaps",
            hint="count in fewer processes: --jobs 1",
            exit_code=ExitCode.FINDINGS,
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def progress(what: str, total: int, is_shown: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error; what is yielded moves it on by one.

    Args:
        what: Is done.
        total: How often.
        is_shown: Whether there is a bar at all.
    """
    if not is_shown:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
