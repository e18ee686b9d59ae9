from __future__ import annotations

import os

import pytest

from provecfg.parallel import map_in_processes


@pytest.mark.parametrize("processes", [1, 2, 3, 10])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_the_results_are_those_of_a_loop_in_its_order(count: int, processes: int) -> None:
    assert map_in_processes(lambda item: item * item, range(count), processes) == [i * i for i in range(count)]


def test_the_items_are_shared_out() -> None:
    assert len(set(map_in_processes(lambda _: os.getpid(), range(4), 2))) == 2


def test_what_a_process_that_dies_leaves_undone_is_done_here() -> None:
    here = os.getpid()

    def dies_elsewhere(item: int) -> int:
        if os.getpid() != here:
            os._exit(9)
        return item

    assert map_in_processes(dies_elsewhere, range(5), 2) == [0, 1, 2, 3, 4]


def test_what_cannot_be_sent_back_is_made_here() -> None:
    results = map_in_processes(lambda item: lambda: item, range(4), 2)
    assert [result() for result in results] == [0, 1, 2, 3]


def test_an_exception_comes_out_as_from_a_loop() -> None:
    with pytest.raises(ZeroDivisionError):
        map_in_processes(lambda item: 1 // item, [1, 0], 2)
    with pytest.raises(ZeroDivisionError):
        map_in_processes(lambda item: 1 // item, [0, 1], 2)


def test_every_process_is_waited_for() -> None:
    pids = set(map_in_processes(lambda _: os.getpid(), range(4), 3)) - {os.getpid()}
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
