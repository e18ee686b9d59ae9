"""Work that may crash, hang or change the interpreter it runs in: each item in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from provecfg.interruption import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_SECONDS = 0.02
_FIRST_TO_GO = "1000"
"""Of Linux's `oom_score_adj`: where memory runs out, it is a process of this kind that is ended for it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that brought no result.

    Args:
        reason: How it ended, in words.
        in_time: Whether it ended by itself, not for taking longer than it may.
        seconds: How long it ran.
    """

    reason: str
    in_time: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Running(Generic[Item]):
    index: int
    item: Item
    process: BaseProcess
    started: float
    answer: Path


Progress = Callable[[int, Sequence[Any]], None]
"""Told how many items are done, and which are at work."""


def each_in_a_process(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    processes: int,
    seconds: float,
    silent: bool = True,
    progress: Progress | None = None,
) -> Iterator[Result | Ended]:
    """Apply `function` to each item in a process forked for it, several at a time.

    What this process has imported is there already. What a process starts ends with it, and it with this one, however
    that ends; whatever it does with its memory or its open files, the answers of the others come.

    Args:
        function: Its result is pickled. What it raises ends its process, and is said as how that ended.
        items: In the order of the results.
        processes: How many run at a time.
        seconds: How long each may take before it is killed.
        silent: Whether what the processes print goes nowhere.
        progress: Called when an item is begun or done, and about every second.

    Yields:
        The result of each item, or how its process ended without one, in the order of the items.
    """
    running: list[_Running[Item]] = []
    done: dict[int, Result | Ended] = {}
    started = yielded = 0
    told = 0.0
    with tempfile.TemporaryDirectory(prefix="provecfg-answers-") as folder:
        try:
            while yielded < len(items):
                changed = False
                while started < len(items) and len(running) < processes:
                    running.append(_start(function, started, items[started], Path(folder), silent))
                    started, changed = started + 1, True
                for job in list(running):
                    if job.process.is_alive() and time.monotonic() - job.started < seconds:
                        continue
                    running.remove(job)
                    done[job.index] = _answer(job)
                    changed = True
                if progress is not None and (changed or time.monotonic() - told >= 1):
                    told = time.monotonic()
                    progress(len(done) + yielded, [job.item for job in running])
                if not changed:
                    time.sleep(_POLL_SECONDS)
                while yielded in done:
                    yield done.pop(yielded)
                    yielded += 1
        finally:
            for job in running:
                _kill(job.process)


def _start(function: Callable[[Item], Any], index: int, item: Item, folder: Path, silent: bool) -> _Running[Item]:
    context = multiprocessing.get_context("fork")
    answer = folder / str(index)
    process = context.Process(target=_work, args=(function, item, answer, silent, os.getpid()))
    with warnings.catch_warnings():
        # Of Python 3.12, that other threads' locks may be held: numpy's threads sleep, and mend themselves on a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    return _Running(index, item, process, time.monotonic(), answer)


def _work(function: Callable[[Any], Any], item: Any, answer: Path, silent: bool, parent: int) -> None:
    os.setsid()  # what is started from here is ended with this process; and Ctrl-C reaches the first process alone
    end_with_parent(signal.SIGKILL, parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2) if silent else (0,):
        os.dup2(nowhere, stream)
    own = os.getpid()
    try:
        result = function(item)
    except BaseException as error:  # SystemExit, too: it is what a config's own class raised
        if not silent:
            traceback.print_exception(error)
        result = Ended(f"ended by {_described(error)}", in_time=True)
    if os.getpid() == own:  # and not a process that the item has forked, and that came back from it
        # By a file, since the item may have closed whatever was open, or written to it.
        unfinished = answer.with_suffix(".part")
        unfinished.write_bytes(pickle.dumps(result))
        unfinished.replace(answer)
    os._exit(0)  # the exit handlers are the first process's


def _described(error: BaseException) -> str:
    """An exception, and the line that it comes from."""
    text = f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else text


def _answer(job: _Running[Any]) -> Any:
    """The result of a process that has ended, or whose time is over."""
    took = time.monotonic() - job.started
    if job.process.is_alive():
        _kill(job.process)
        return Ended(f"not done after {took:.0f} s", in_time=False, seconds=took)
    code = job.process.exitcode or 0
    _kill(job.process)
    try:
        result = pickle.loads(job.answer.read_bytes())
    except FileNotFoundError:
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Ended(how, in_time=True, seconds=took)
    except Exception as error:
        return Ended(f"gave an answer that cannot be read: {type(error).__name__}", in_time=True, seconds=took)
    finally:
        job.answer.unlink(missing_ok=True)
    return Ended(result.reason, result.in_time, took) if isinstance(result, Ended) else result


def _kill(process: BaseProcess) -> None:
    """End a process, and what it has started."""
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
    process.kill()
    process.join()
    process.close()
