"""One holder at a time: real processes that race, die, and come from another host."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provecfg.training import heartbeat, lease
from provecfg.training.job import Job
from provecfg.training.json_file import write_json_file
from provecfg.training.lease import (
    SILENCE_SECONDS,
    Holder,
    Lease,
    LeaseHeldError,
    LeaseLostError,
    Tenancy,
    acquire,
    lease_path,
    look_at_lease,
    process_start,
)

RACERS = 8


def started_in_forks(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[multiprocessing.Process]:
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads: torch's, where another test has loaded it.
        warnings.simplefilter("ignore", DeprecationWarning)
        processes = [multiprocessing.get_context("fork").Process(target=target, args=words) for words in arguments]
        for process in processes:
            process.start()
    return processes


def joined(processes: list[multiprocessing.Process]) -> None:
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.fixture(scope="module")
def dead_pid() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return int(done.stdout)


def holder(**changes: Any) -> Holder:
    return dataclasses.replace(Holder.this_process("a-token"), **changes)


def held_by(work_dir: Path, **changes: Any) -> Path:
    """A work dir whose lease is somebody's."""
    work_dir.mkdir(exist_ok=True)
    write_json_file(lease_path(work_dir, 1), holder(**changes))
    return work_dir


def make_old(work_dir: Path, seconds: float) -> None:
    for path in work_dir.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def states_of(work_dir: Path) -> list[str]:
    return sorted(path.name for path in work_dir.iterdir())


def test_a_lease_is_had_by_one_given_back_and_had_again(tmp_path: Path) -> None:
    first = acquire(tmp_path / "new" / "run")
    assert first.is_held()
    assert states_of(first.work_dir) == ["lease.1"]
    with pytest.raises(LeaseHeldError, match=f"process {os.getpid()} on .* has been training in") as error:
        acquire(first.work_dir)
    assert error.value.hint == "wait for it or end it, or choose another --work-dir"
    first.release()
    assert look_at_lease(first.work_dir).tenancy is Tenancy.FREE
    second = acquire(first.work_dir)
    assert states_of(first.work_dir) == ["lease.2"]
    assert (first.is_held(), second.is_held()) == (False, True)


def test_one_that_lost_its_lease_is_told_to_whom(tmp_path: Path) -> None:
    first = acquire(tmp_path)
    write_json_file(lease_path(tmp_path, 2), holder(pid=77, host="elsewhere"))
    with pytest.raises(LeaseLostError, match=r"is not this process's any more: process 77 on elsewhere has it since"):
        first.check()
    first.release()  # which is nothing to the other
    assert look_at_lease(tmp_path).tenancy is Tenancy.HELD


def test_a_work_dir_that_is_gone_is_a_lost_lease(tmp_path: Path) -> None:
    taken = acquire(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(LeaseLostError, match="its lease is gone"):
        taken.check()


def test_the_process_that_trains_takes_its_parents_place(tmp_path: Path) -> None:
    taken = acquire(tmp_path)

    def adopt() -> None:
        Lease(tmp_path, taken.generation, taken.token).adopt()

    joined(started_in_forks(adopt, [()]))
    state = look_at_lease(tmp_path)
    assert state.holder is not None
    assert state.holder.pid != os.getpid()
    assert taken.is_held()
    assert state.tenancy is Tenancy.GONE  # that process has ended


def test_a_process_that_is_no_more_holds_nothing(tmp_path: Path, dead_pid: int) -> None:
    held_by(tmp_path, pid=dead_pid)
    assert acquire(tmp_path).replaced is Tenancy.GONE


def test_a_process_number_that_is_anothers_by_now_holds_nothing(tmp_path: Path) -> None:
    held_by(tmp_path, started=1)  # this process's number, and not its start
    assert look_at_lease(tmp_path).tenancy is Tenancy.GONE
    held_by(tmp_path)
    assert look_at_lease(tmp_path).tenancy is Tenancy.HELD


def test_a_process_that_ended_and_was_not_waited_for_holds_nothing(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    held_by(tmp_path, pid=child, started=process_start(child) or 1)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert look_at_lease(tmp_path).tenancy is Tenancy.GONE
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another"}, {"boot": "another"}, {"namespace": "pid:[1]"}],
    ids=["another host", "another boot of a host of this name", "a container"],
)
def test_what_cannot_be_seen_from_here_is_judged_by_its_silence(
    tmp_path: Path, dead_pid: int, elsewhere: dict[str, str]
) -> None:
    held_by(tmp_path, pid=dead_pid, **elsewhere)
    (tmp_path / heartbeat.FILENAME).touch()
    make_old(tmp_path, SILENCE_SECONDS - 60)
    with pytest.raises(LeaseHeldError, match=r"silent for 5\d\d s") as error:
        acquire(tmp_path)
    assert f"remove {tmp_path / 'lease.1'}" in (error.value.hint or "")
    make_old(tmp_path, SILENCE_SECONDS + 60)
    (tmp_path / heartbeat.FILENAME).touch()
    assert look_at_lease(tmp_path).tenancy is Tenancy.HELD
    make_old(tmp_path, SILENCE_SECONDS + 60)
    assert acquire(tmp_path).replaced is Tenancy.GONE


def test_silence_is_told_by_the_file_servers_clock(tmp_path: Path) -> None:
    held_by(tmp_path, host="another")
    server_time = (tmp_path / "lease.1").stat().st_mtime
    assert look_at_lease(tmp_path, lambda: server_time + SILENCE_SECONDS + 1).tenancy is Tenancy.GONE
    assert look_at_lease(tmp_path, lambda: server_time + SILENCE_SECONDS - 1).tenancy is Tenancy.HELD


@pytest.mark.parametrize(
    ("ours", "tenancy"),
    [
        (("7", 3, 1), Tenancy.REQUEUED),
        (("7", 3, 0), Tenancy.HELD),
        (("7", 4, 1), Tenancy.HELD),
        (("8", 3, 1), Tenancy.HELD),
    ],
)
def test_a_job_that_was_started_again_takes_its_own_lease_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: tuple[str, int, int], tenancy: Tenancy
) -> None:
    held_by(tmp_path, host="another", job=Job("slurm", "7", 3, 0))
    monkeypatch.setattr(lease, "current_job", lambda: Job("slurm", *ours))
    assert look_at_lease(tmp_path).tenancy is tenancy


@pytest.mark.parametrize("text", ["", "{", '{"token": 1}', "null"])
def test_a_broken_lease_is_named_and_outlives_its_silence_no_longer(tmp_path: Path, text: str) -> None:
    lease_path(tmp_path, 3).write_text(text)
    with pytest.raises(LeaseHeldError, match=r"is in use: lease\.3 cannot be read") as error:
        acquire(tmp_path)
    assert "remove" in (error.value.hint or "")
    make_old(tmp_path, SILENCE_SECONDS + 1)
    assert acquire(tmp_path).generation == 4


def test_where_there_are_no_links_there_is_a_lease_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")  # what vfat says

    monkeypatch.setattr(os, "link", refuse)
    taken = acquire(tmp_path)
    assert taken.is_held()
    with pytest.raises(LeaseHeldError, match="has been training in"):
        acquire(tmp_path)


def race(work_dirs: list[Path], start: Any, end: Any, wins: Any, seed: int) -> None:
    random.seed(seed)
    for index, work_dir in enumerate(work_dirs):
        start.wait()
        time.sleep(random.random() / 1000)
        try:
            taken = acquire(work_dir)
        except LeaseHeldError:
            taken = None
        end.wait()
        if taken is not None:
            assert taken.is_held()
            with wins.get_lock():
                wins[index] += 1


@pytest.mark.parametrize("before", ["nothing", "given back", "a dead process", "a silent host"])
def test_of_many_that_want_it_at_once_exactly_one_gets_it(tmp_path: Path, dead_pid: int, before: str) -> None:
    work_dirs = [tmp_path / str(number) for number in range(25)]
    for work_dir in work_dirs:
        if before == "given back":
            held_by(work_dir, released=True)
        elif before == "a dead process":
            held_by(work_dir, pid=dead_pid)
        elif before == "a silent host":
            make_old(held_by(work_dir, host="another"), SILENCE_SECONDS + 1)
    context = multiprocessing.get_context("fork")
    wins = context.Array("i", len(work_dirs))
    start, end = context.Barrier(RACERS), context.Barrier(RACERS)
    joined(started_in_forks(race, [(work_dirs, start, end, wins, seed) for seed in range(RACERS)]))
    assert list(wins) == [1] * len(work_dirs)


def come_and_go(work_dir: Path, dead_pid: int, seed: int, held: Any, collisions: Any) -> None:
    random.seed(seed)
    claim = lease._claim

    def slow_claim(made: Path, path: Path) -> bool:
        time.sleep(random.choice((0, 0, 0.001, 0.01)))  # between what was seen and what is done
        return claim(made, path)

    lease._claim = slow_claim
    ends = time.monotonic() + 2
    while time.monotonic() < ends:
        try:
            taken = acquire(work_dir)
        except (LeaseHeldError, OSError):
            continue
        held.value += 1
        try:
            os.close(os.open(work_dir / "inside", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            collisions.value += 1
        time.sleep(random.random() / 500)
        (work_dir / "inside").unlink(missing_ok=True)
        if random.random() < 0.5:
            taken.release()
        else:  # as if this process had been killed
            write_json_file(taken.path, holder(token=taken.token, pid=dead_pid))


def test_however_they_come_go_and_die_no_two_are_inside_at_once(tmp_path: Path, dead_pid: int) -> None:
    context = multiprocessing.get_context("fork")
    held, collisions = context.Value("i"), context.Value("i")
    joined(started_in_forks(come_and_go, [(tmp_path, dead_pid, seed, held, collisions) for seed in range(RACERS)]))
    assert collisions.value == 0
    assert held.value > 20
    assert len([name for name in states_of(tmp_path) if name.startswith("lease.")]) == 1


@pytest.fixture
def other_host(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Run Python in a process whose host has another name."""
    processes = []

    def start(lines: str) -> subprocess.Popen[str]:
        command = 'hostname node2 && exec "$0" -c "$1" "$2"'
        words = ["unshare", "--uts", "sh", "-c", command, sys.executable, lines, str(tmp_path / "run")]
        processes.append(subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.root  # gives a process another host name
def test_two_hosts_do_not_train_in_one_work_dir(
    tmp_path: Path, other_host: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = other_host(
        "import sys; from pathlib import Path; from provecfg.training.lease import acquire\n"
        "acquire(Path(sys.argv[1])); print('held', flush=True); input()"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeldError, match=f"process {process.pid} on node2 has been training"):
        acquire(tmp_path / "run")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(LeaseHeldError, match="on node2"):  # whose processes cannot be seen from here
        acquire(tmp_path / "run")
    make_old(tmp_path / "run", SILENCE_SECONDS + 1)
    acquire(tmp_path / "run")


def test_looking_needs_no_heavy_import() -> None:
    lines = "import sys, provecfg.training.lease; print({'torch', 'numpy', 'click', 'mmengine'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_file_says_who(tmp_path: Path) -> None:
    taken = acquire(tmp_path)
    fields = json.loads(taken.path.read_text())
    assert fields["pid"] == os.getpid()
    assert fields["started"] == process_start(os.getpid())
    assert set(fields) == {field.name for field in dataclasses.fields(Holder)}
