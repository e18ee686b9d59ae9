"""Work that is shared between forked processes, for when starting a pool would take longer than the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """Processors that this process may use; 1 where processes cannot be forked."""
    if not hasattr(os, "fork"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> list[Result]:
    """`[function(item) for item in items]`, the items dealt out to forked processes.

    What a process does not bring back (it was killed, its result cannot be pickled) is done here, so that an exception
    comes out of this call as it would without processes.

    Args:
        function: Has no effect but its result.
        items: In the order of the results.
        processes: This one included; as many as there are processors unless given.
    """
    count = max(1, min(processes if processes is not None else processors(), len(items)))
    children = [_fork(function, items[index::count]) for index in range(1, count)]
    done: dict[int, list[Result] | None] = {}
    try:
        done[0] = [function(item) for item in items[::count]]
    finally:
        for index, (child, pipe) in enumerate(children, start=1):
            done[index] = _collected(child, pipe)
    for index, results in done.items():
        if results is None:
            done[index] = [function(item) for item in items[index::count]]
    return [(done[place % count] or [])[place // count] for place in range(len(items))]


def _fork(function: Callable[[Item], Result], items: Sequence[Item]) -> tuple[int, int]:
    """Start a process; its number, and the end of a pipe that its results come from."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    import pickle  # here and below: one file is judged without

    status = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as stream:
            pickle.dump([function(item) for item in items], stream, protocol=pickle.HIGHEST_PROTOCOL)
        status = 0
    except BaseException:  # the parent does these items again, and meets what went wrong itself
        status = 1
    finally:
        # Not sys.exit: the parent's buffers and exit handlers are not this process's to run.
        os._exit(status)


def _collected(child: int, pipe: int) -> list[Result] | None:
    with os.fdopen(pipe, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        return None
    import pickle

    results: list[Result] = pickle.loads(data)
    return results
