from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest

from provecfg.ledger.cell_status import CellStatus, State, Task, TaskState, server_clock, status_of, work_dirs_below
from provecfg.ledger.refusal import Refusal
from provecfg.ledger.status_table import as_json, as_table, as_time
from provecfg.training import record as records
from provecfg.training.heartbeat import TRAINING, Heartbeat, write_heartbeat
from provecfg.training.job import Job
from provecfg.training.json_file import write_json_file
from provecfg.training.lease import Holder, acquire, lease_path
from provecfg.training.record import Ending, Record, new_attempt

QUEUED, RUNNING, ENDED = (Task(state, "why") for state in TaskState)
OPEN = Record("cell", {}, {}, False, 100, 42, {}, None).started(
    new_attempt(first_iter=0, command=(), device="cpu", processes=1)
)


def status(work_dir: Path, task: Task | None = None, **fields: bool) -> CellStatus:
    return status_of("cell", work_dir, time.time, task, **fields)


def closed(ending: Ending, iteration: int = 40) -> Record:
    return OPEN.closed(ending, iteration, best={"metric": "val/mIoU", "value": 41.5, "checkpoint": "best.pth"})


@pytest.mark.parametrize(
    ("task", "state"),
    [
        (None, State.WAITING),
        (QUEUED, State.QUEUED),
        (RUNNING, State.RUNNING),
        (ENDED, State.MISSING),
        (dataclasses.replace(ENDED, is_cancelled=True), State.WAITING),
    ],
)
def test_without_a_record_a_cell_is_where_its_engine_says(tmp_path: Path, task: Task | None, state: State) -> None:
    assert status(tmp_path, task).state is state


def test_a_refusal_is_a_failure_until_it_is_tried_again(tmp_path: Path) -> None:
    Refusal(records.now(), "LOSS003 two activations").write(tmp_path)
    assert (status(tmp_path).state, status(tmp_path, ENDED).reason) == (State.FAILED, "LOSS003 two activations")
    assert status(tmp_path, QUEUED).state is State.QUEUED


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (Ending(records.FINISHED), State.FINISHED),
        (Ending(records.STOPPED), State.STOPPED),
        (Ending(records.FAILED, "out of memory", records.OUT_OF_MEMORY), State.FAILED),
        (Ending(records.INTERRUPTED, "SIGTERM"), State.INTERRUPTED),
        (Ending(records.LOST, "its process was killed"), State.LOST),
    ],
)
def test_a_closed_record_says_how_its_run_ended(tmp_path: Path, ending: Ending, state: State) -> None:
    closed(ending).write(tmp_path)
    told = status(tmp_path)
    assert (told.state, told.iteration, told.max_iters) == (state, 40, 100)
    assert told.reason == ("" if state.is_complete else ending.message)
    again = status(tmp_path, QUEUED)
    assert again.state is (state if state.is_complete else State.QUEUED)


def test_an_open_record_is_running_while_its_lease_is_held_and_lost_after(tmp_path: Path) -> None:
    lease = acquire(tmp_path)
    OPEN.write(tmp_path)
    write_heartbeat(tmp_path, Heartbeat(records.now(), lease.token, TRAINING, 17, 100, 2.0, 41.5))
    told = status(tmp_path)
    assert (told.state, told.iteration, told.iters_per_second, told.seconds_left) == (State.RUNNING, 17, 2.0, 41.5)
    assert told.holder.startswith("process ")
    lease.release()
    told = status(tmp_path)
    assert told.state is State.LOST
    assert "last heard of at" in told.reason
    assert "in iteration 17" in told.reason


@pytest.mark.parametrize(
    ("task", "state"),
    [(None, State.RUNNING), (RUNNING, State.RUNNING), (QUEUED, State.QUEUED), (ENDED, State.LOST)],
)
def test_of_a_machine_that_was_lost_its_scheduler_knows_before_its_lease_is_silent_for_long(
    tmp_path: Path, task: Task | None, state: State
) -> None:
    holder = dataclasses.replace(Holder.this_process("a-token"), host="node7", job=Job("slurm", "7", 0))
    write_json_file(lease_path(tmp_path, 1), holder)
    OPEN.write(tmp_path)
    assert status(tmp_path, task).state is state
    write_json_file(lease_path(tmp_path, 1), dataclasses.replace(holder, job=None))  # a person's own run
    assert status(tmp_path, task).state is State.RUNNING


def test_what_cannot_be_read_or_is_gone_is_named(tmp_path: Path) -> None:
    assert status(tmp_path / "gone", is_submitted=True).state is State.MISSING
    OPEN.write(tmp_path)
    record = tmp_path / records.FILENAME
    record.write_text(record.read_text()[:50])
    told = status(tmp_path)
    assert told.state is State.UNREADABLE
    assert str(record) in told.reason


def test_work_dirs_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "deep/er/a", "b/inner", "much/too/deep/er"):
        (tmp_path / name).mkdir(parents=True)
        OPEN.write(tmp_path / name)
    assert [str(path.relative_to(tmp_path)) for path in work_dirs_below(tmp_path)] == ["b", "deep/er/a"]


def test_the_clock_leaves_nothing_behind(tmp_path: Path) -> None:
    assert abs(server_clock(tmp_path)() - time.time()) < 5
    assert not list(tmp_path.iterdir())


def test_a_table_has_a_line_a_cell_and_counts_them() -> None:
    best = {"metric": "val/mIoU", "value": 41.5, "checkpoint": "best.pth"}
    running = CellStatus("a-0", State.RUNNING, "", 17, 100, 2.0, 5000.0, best, "process 7 on node1", 1, "cells/a-0")
    failed = CellStatus("b-0", State.FAILED, "out of memory\nmore", 3, 100, is_stale=True)
    assert as_table([running, failed]).splitlines() == [
        "cell  state    iteration  it/s  left  best",
        "a-0   running  17/100     2.00  1:23  val/mIoU 41.50  process 7 on node1",
        "b-0   failed   3/100                                  stale; out of memory",
        "",
        "2 cells: 1 running, 1 failed, 1 stale: their configs have changed since they were submitted",
    ]
    data = json.loads(as_json([running]))
    assert data == [{**dataclasses.asdict(running), "state": "running"}]
    assert [as_time(seconds) for seconds in (10, 3600, 90_000)] == ["0:01", "1:00", "1 d 01:00"]
