"""Items in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

import pytest

from provecfg.proof.processes import Ended, each_in_a_process

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")


def results(function, items: Iterable[object], processes: int = 2, seconds: float = 30.0) -> list[object]:
    return list(each_in_a_process(function, list(items), processes=processes, seconds=seconds))


def test_results_come_in_the_order_of_the_items_whoever_is_done_first() -> None:
    def slow_at_first(item: int) -> int:
        time.sleep(0.2 if item == 0 else 0.0)
        return item * item

    assert results(slow_at_first, range(5)) == [0, 1, 4, 9, 16]


def test_every_item_has_a_process_of_its_own() -> None:
    processes = results(lambda item: os.getpid(), range(4))
    assert len({os.getpid(), *processes}) == 5


def test_what_an_item_changes_the_others_do_not_see() -> None:
    seen: list[int] = []

    def remember(item: int) -> list[int]:
        seen.append(item)
        return list(seen)

    assert results(remember, range(3)) == [[0], [1], [2]]


def test_no_more_run_at_a_time_than_may() -> None:
    def span(item: int) -> tuple[float, float]:
        begin = time.monotonic()
        time.sleep(0.1)
        return begin, time.monotonic()

    spans = results(span, range(4), processes=2)
    for begin, _ in spans:
        assert sum(other <= begin < end for other, end in spans) <= 2


def test_a_crash_is_its_own_and_is_named() -> None:
    def crash(item: int) -> int:
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    before, ended, after = results(crash, range(3))
    assert (before, after) == (0, 2)
    assert isinstance(ended, Ended)
    assert ended.in_time
    assert "SIGKILL" in ended.reason


def test_an_exception_that_is_let_out_ends_its_process_alone() -> None:
    def fail(item: int) -> int:
        return 1 // item

    ended, second = results(fail, range(2))
    assert second == 1
    assert isinstance(ended, Ended)
    assert ended.reason.startswith("ended by ZeroDivisionError: integer division or modulo by zero (test_processes.py:")


def test_what_takes_too_long_is_killed_and_the_rest_goes_on() -> None:
    def hang(item: int) -> int:
        if item == 0:
            time.sleep(60)
        return item

    began = time.monotonic()
    ended, second, third = results(hang, range(3), seconds=0.5)
    assert time.monotonic() - began < 30
    assert (second, third) == (1, 2)
    assert isinstance(ended, Ended)
    assert not ended.in_time


def test_a_large_result_arrives_whole() -> None:
    assert [len(result) for result in results(lambda item: b"x" * 5_000_000, range(2))] == [5_000_000] * 2


def test_a_caller_that_stops_listening_leaves_no_process(tmp_path) -> None:
    def work(item: int) -> int:
        if item == 1:
            time.sleep(1.5)
            (tmp_path / "lived").touch()
        return item

    generator = each_in_a_process(work, [0, 1], processes=2, seconds=30)
    assert next(generator) == 0
    generator.close()
    time.sleep(2)
    assert not (tmp_path / "lived").exists()


def test_what_an_item_has_started_ends_with_it(tmp_path) -> None:
    def leave_one_behind(item: int) -> int:
        if os.fork() == 0:
            time.sleep(1.0)
            (tmp_path / "lived").touch()
        return item

    assert results(leave_one_behind, [5]) == [5]
    time.sleep(1.5)
    assert not (tmp_path / "lived").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel, which is Linux's to do")
def test_an_item_ends_with_a_caller_that_was_killed(tmp_path) -> None:
    begun = tmp_path / "begun"

    def work(item: int) -> None:
        begun.touch()
        time.sleep(1.0)
        (tmp_path / "lived").touch()

    caller = os.fork()
    if caller == 0:
        with contextlib.suppress(BaseException):
            results(work, [0])
        os._exit(0)
    until = time.monotonic() + 30
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    time.sleep(1.5)
    assert begun.exists()
    assert not (tmp_path / "lived").exists()


def test_an_item_that_closes_every_file_ends_nothing_else() -> None:
    def close(item: int) -> int:
        if item == 0:
            os.closerange(3, 64)
        return item

    assert results(close, range(2)) == [0, 1]


def test_a_system_exit_is_said_with_its_line() -> None:
    def leave(item: int) -> int:
        raise SystemExit("not on this machine")

    (ended,) = results(leave, [0])
    assert isinstance(ended, Ended)
    assert ended.reason.startswith("ended by SystemExit: not on this machine (test_processes.py:")


def test_progress_is_told_from_the_first_to_the_last() -> None:
    told: list[tuple[int, int]] = []
    items = list(range(3))
    each = each_in_a_process(
        lambda item: item,
        items,
        processes=1,
        seconds=30,
        progress=lambda done, at_work: told.append((done, len(at_work))),
    )
    assert list(each) == items
    assert (told[0], told[-1]) == ((0, 1), (3, 0))
