"""The lives of a run: real signals, kills and full disks to `provecfg run` of a small real cell."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provecfg.training import heartbeat
from provecfg.training import record as records
from provecfg.training.json_file import write_json_file
from provecfg.training.lease import Holder, Tenancy, look_at_lease
from tests.training.run_process import RunProcess, lives, record_in
from tests.training.small_cell import write_small_cell

pytestmark = [pytest.mark.stack, pytest.mark.slow]

LONG = {"max_iters": 400, "val_interval": 20}
"""Long enough to be met in the middle."""


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    return write_small_cell(tmp_path / "cell.py")


@pytest.fixture
def long_cell(tmp_path: Path) -> Path:
    return write_small_cell(tmp_path / "cell.py", **LONG)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunProcess]]:
    """Start runs in one work dir; those that are left at the end are killed."""
    processes = []

    def started(config: Path, *words: object, **how: object) -> RunProcess:
        processes.append(RunProcess(config, tmp_path / "run", *words, **how))
        return processes[-1]

    yield started
    for process in processes:
        process.send(signal.SIGKILL, to_group=True)
        process.ended()


@pytest.mark.parametrize(
    ("signum", "code", "requeue"),
    [
        (signal.SIGHUP, 130, False),
        (signal.SIGUSR1, 75, True),
    ],
)
def test_a_signal_writes_a_checkpoint_says_whether_to_requeue_and_the_run_goes_on(
    start: Callable[..., RunProcess], tmp_path: Path, signum: signal.Signals, code: int, requeue: bool
) -> None:
    config = write_small_cell(tmp_path / "cell.py", max_iters=40)
    process = start(config)
    process.wait_for_file("iter_4.pth")
    process.send(signum)
    assert process.ended() == code, process.text
    (attempt,) = record_in(tmp_path / "run").attempts
    assert (attempt.state, attempt.requeue, attempt.cause) == ("interrupted", requeue, "")
    assert f"{signum.name} after iteration {attempt.last_iter}: " in attempt.message
    assert (tmp_path / "run" / f"iter_{attempt.last_iter}.pth").is_file()
    assert look_at_lease(tmp_path / "run").tenancy is Tenancy.FREE
    assert start(config).ended() == 0
    assert lives(tmp_path / "run") == [("interrupted", 0, attempt.last_iter), ("finished", attempt.last_iter, 40)]


def test_a_second_ctrl_c_says_what_is_on_disk_and_ends(start: Callable[..., RunProcess], long_cell: Path) -> None:
    process = start(long_cell, prepare=never_finish_a_checkpoint_of_an_interruption)
    process.wait_for_file("iter_4.pth")
    process.send(signal.SIGINT)
    time.sleep(1)
    assert process.code is None
    process.send(signal.SIGINT)
    assert process.ended() == 130, process.text
    work_dir = process.work_dir
    (attempt,) = record_in(work_dir).attempts
    assert attempt.state == "interrupted"
    last = record_in(work_dir).last_checkpoint
    assert attempt.message.startswith(f"SIGINT ended it at once: {last} holds what was done")
    assert attempt.message in process.text
    assert (work_dir / str(last)).is_file()
    assert look_at_lease(work_dir).tenancy is Tenancy.FREE


def never_finish_a_checkpoint_of_an_interruption() -> None:
    from provecfg.plugin.hooks import interrupt

    interrupt._save = lambda *_: time.sleep(600)


def test_two_runs_that_start_at_once_are_one(start: Callable[..., RunProcess], cell: Path) -> None:
    processes = [start(cell) for _ in range(3)]
    codes = [process.ended() for process in processes]
    texts = [process.text for process in processes]
    assert sorted(codes) == [0, 1, 1], texts
    assert lives(processes[0].work_dir) == [("finished", 0, 24)]
    for code, text in zip(codes, texts, strict=True):
        assert ("has been training in" in text) == (code == 1)
        assert "Traceback" not in text


def test_a_killed_life_is_closed_by_the_next(start: Callable[..., RunProcess], long_cell: Path) -> None:
    process = start(long_cell)
    process.wait_for_file("iter_6.pth")
    process.send(signal.SIGKILL)
    assert process.ended() == -signal.SIGKILL
    assert record_in(process.work_dir).state == "running"
    process = start(long_cell)
    process.wait_until(lambda: record_in(process.work_dir).attempts[1:])
    process.send(signal.SIGTERM)
    process.ended()
    first, second = record_in(process.work_dir).attempts
    assert (first.state, first.cause, first.last_iter) == ("lost", "killed", second.first_iter)
    assert first.message.startswith("its process was killed, last heard of at ")
    assert first.ended is not None


def test_a_life_that_its_scheduler_ended_is_an_interruption(start: Callable[..., RunProcess], long_cell: Path) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2"}
    process = start(long_cell, environment=job)
    process.wait_for_file("iter_2.pth")
    process.send(signal.SIGSTOP)  # as on a node that does not answer: it lives, for all that can be seen
    second = start(long_cell, environment=job)
    assert second.ended() == 1
    assert "(slurm job 5_2) has been training in" in second.text
    third = start(long_cell, environment={**job, "SLURM_RESTART_COUNT": "1"})
    third.wait_until(lambda: record_in(process.work_dir).attempts[1:])
    process.send(signal.SIGCONT)
    assert process.ended() == 1
    third.send(signal.SIGUSR1)
    assert third.ended() == 75
    before, after = record_in(process.work_dir).attempts
    assert before.state == "interrupted"
    assert "its scheduler ended it and started the job again" in before.message
    assert (before.job and before.job.restarts, after.job and after.job.restarts) == (0, 1)


def stop_between_checkpoints(process: RunProcess) -> None:
    """Stop a run where its pointer names its newest checkpoint: not while it writes the two."""
    while True:
        process.send(signal.SIGSTOP)
        newest = max(process.work_dir.glob("iter_*.pth"), key=lambda path: path.stat().st_mtime_ns)
        pointer = process.work_dir / "last_checkpoint"
        if pointer.is_file() and Path(pointer.read_text()).name == newest.name:
            return
        process.send(signal.SIGCONT)
        time.sleep(0.02)


def test_one_that_lost_its_lease_writes_nothing_more_and_says_so(
    start: Callable[..., RunProcess], long_cell: Path
) -> None:
    process = start(long_cell)
    process.wait_for_file("iter_4.pth")
    work_dir = process.work_dir
    stop_between_checkpoints(process)
    (old,) = work_dir.glob("lease.*")
    taker = Holder("b-token", "node2", None, None, 77, None, None, records.now())
    write_json_file(work_dir / "lease.2", taker)
    old.unlink()
    for path in work_dir.glob("*.partial"):  # one that it was writing; the taker clears it
        path.unlink()
    before = {path.name: path.stat().st_mtime_ns for path in work_dir.iterdir() if path.is_file()}
    process.send(signal.SIGCONT)
    assert process.ended() == 1
    assert "is not this process's any more: process 77 on node2 has it since" in process.text
    assert {path.name: path.stat().st_mtime_ns for path in work_dir.iterdir() if path.is_file()} == before


def test_a_run_that_goes_on_tells_how_far_and_how_fast(start: Callable[..., RunProcess], long_cell: Path) -> None:
    process = start(long_cell)
    process.wait_for_file("iter_20.pth")
    beat = heartbeat.read_heartbeat(process.work_dir)
    assert beat is not None
    assert (beat.phase, beat.max_iters) == ("training", 400)
    assert beat.iteration >= 1
    assert beat.iters_per_second is not None
    assert beat.iters_per_second > 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_loader_processes_too_ends_in_a_checkpoint(
    start: Callable[..., RunProcess], tmp_path: Path, signum: signal.Signals
) -> None:
    process = start(write_small_cell(tmp_path / "cell.py", **LONG, workers=2))
    process.wait_for_file("iter_6.pth")
    process.send(signum, to_group=True)
    process.ended()
    (attempt,) = record_in(process.work_dir).attempts
    assert attempt.message.startswith(f"{signum.name} after iteration {attempt.last_iter}: "), process.text
    assert (process.work_dir / f"iter_{attempt.last_iter}.pth").is_file()


def test_a_run_that_stopped_early_is_complete_until_its_patience_changes(
    start: Callable[..., RunProcess], tmp_path: Path
) -> None:
    config = write_small_cell(tmp_path / "cell.py", patience=1, min_delta=100.0)
    assert start(config).ended() == 0
    assert lives(tmp_path / "run") == [("early-stopped", 0, 8)]
    again = start(config)
    assert again.ended() == 0
    assert "already early-stopped" in again.text
    assert len(record_in(tmp_path / "run").attempts) == 1
    write_small_cell(config, patience=3, min_delta=100.0)
    assert start(config).ended() == 0
    assert lives(tmp_path / "run") == [("early-stopped", 0, 8), ("early-stopped", 8, 16)]


def cut_off(path: Path) -> None:
    path.write_bytes(b"PK\3")


def flip_a_bit(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


@pytest.mark.parametrize(
    ("spoil", "reason"), [(cut_off, "does not hold what was written"), (flip_a_bit, "does not hold what was written")]
)
def test_a_broken_checkpoint_is_named_and_the_next_older_whole_one_gone_on_from(
    start: Callable[..., RunProcess], tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    config = write_small_cell(tmp_path / "cell.py", max_iters=40)
    process = start(config)
    process.wait_for_file("iter_12.pth")
    process.send(signal.SIGTERM)
    process.ended()
    newest, older = sorted((int(path.stem[5:]) for path in process.work_dir.glob("iter_*.pth")), reverse=True)[:2]
    spoil(process.work_dir / f"iter_{newest}.pth")
    process = start(config)
    assert process.ended() == 0
    assert f"RUN125 checkpoint '{process.work_dir}/iter_{newest}.pth' is broken (it {reason}" in process.text
    assert f"the run goes on from iter_{older}.pth" in process.text
    assert lives(process.work_dir)[1:] == [("finished", older, 40)]
    assert (process.work_dir / f"iter_{newest}.pth.broken").is_file()


def test_without_a_whole_checkpoint_the_run_does_not_begin_anew_by_itself(
    start: Callable[..., RunProcess], long_cell: Path
) -> None:
    process = start(long_cell)
    process.wait_for_file("iter_4.pth")
    process.send(signal.SIGTERM)
    process.ended()
    for path in process.work_dir.glob("iter_*.pth"):
        flip_a_bit(path)
    before = lives(process.work_dir)
    process = start(long_cell)
    assert process.ended() == 1
    assert "RUN123 no checkpoint in" in process.text
    assert lives(process.work_dir) == before


def test_a_record_with_wrong_types_is_named(start: Callable[..., RunProcess], cell: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / records.FILENAME).write_text('{"name": 3}')
    process = start(cell)
    assert process.ended() == 2
    assert "provecfg.json is not a record of a run: name is 3, not str" in process.text
    assert "Traceback" not in process.text


def test_a_moved_work_dir_knows_its_best_checkpoint_by_name(start: Callable[..., RunProcess], tmp_path: Path) -> None:
    config = write_small_cell(tmp_path / "cell.py", max_iters=40, min_delta=100.0, patience=8)
    process = start(config)
    process.wait_for_file("iter_14.pth")
    process.send(signal.SIGTERM)
    process.ended()
    best = record_in(process.work_dir).best
    assert best is not None
    process.work_dir.rename(tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    moved = RunProcess(config, tmp_path / "elsewhere")
    assert moved.ended() == 0
    best = record_in(moved.work_dir).best
    assert best is not None
    assert (moved.work_dir / best["checkpoint"]).is_file()
    assert "/" not in best["checkpoint"]
    assert not process.work_dir.exists()


def fill_up_at_the_third_checkpoint() -> None:
    written, write = [], os.fsync

    def fail(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > 6:  # two files each
            raise OSError(28, "No space left on device")
        write(descriptor)

    os.fsync = fail


def test_a_disk_that_fills_up_fails_the_run_and_leaves_its_last_checkpoint(
    start: Callable[..., RunProcess], cell: Path
) -> None:
    process = start(cell, prepare=fill_up_at_the_third_checkpoint)
    assert process.ended() == 1
    assert "the disk is full (No space left on device" in process.text
    assert "Traceback" not in process.text
    (attempt,) = record_in(process.work_dir).attempts
    assert (attempt.state, attempt.cause) == ("failed", "disk-full")
    last = record_in(process.work_dir).last_checkpoint
    assert list(process.work_dir.glob("*.partial")) == []
    assert start(cell).ended() == 0
    assert lives(process.work_dir)[1:] == [("finished", int(str(last)[5:-4]), 24)]


def ask_for_no_room() -> None:
    from provecfg.training import work_dir

    work_dir._LEAST_FREE = 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of so many bytes; called again, the same of another size."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def sized(size: str) -> Path:
        options = f"{'remount,' if disk.is_mount() else ''}size={size}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
        return disk

    yield sized
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.root  # mounts a file system of its own
def test_a_disk_without_a_byte_left_still_takes_the_end_of_the_record(
    small_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    config = write_small_cell(tmp_path / "cell.py", **LONG)
    disk = small_disk("40m")
    process = RunProcess(config, disk / "run", prepare=ask_for_no_room)
    process.wait_for_file("iter_20.pth")
    with open(disk / "filling", "wb", buffering=0) as filling:  # somebody else's
        for size in (2**20, 2**12):
            with contextlib.suppress(OSError):
                while True:
                    filling.write(bytes(size))
    assert process.ended() == 1
    assert "Traceback" not in process.text
    assert "the disk is full" in process.text
    (attempt,) = record_in(disk / "run").attempts
    assert (attempt.state, attempt.cause) == ("failed", "disk-full")
    (disk / "filling").unlink()
    process = RunProcess(config, disk / "run", prepare=ask_for_no_room)
    process.wait_until(lambda: record_in(disk / "run").attempts[1:])
    process.send(signal.SIGTERM)
    assert process.ended() == 130
    assert record_in(disk / "run").attempts[1].first_iter >= 20


def test_a_label_that_is_no_class_names_its_file_in_mid_run(start: Callable[..., RunProcess], tmp_path: Path) -> None:
    from PIL import Image

    from provecfg.catalog.datasets import DATASETS
    from provecfg.data.scenes import Drawing, smoke_data_for

    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=40, val=2, width=96, height=54), tmp_path / "data")
    spoilt = sorted((root / "labels/sem_seg/masks/train").iterdir())[1]
    process = start(write_small_cell(tmp_path / "cell.py", root, **LONG))
    process.wait_until(
        lambda: (process.work_dir / "provecfg.json").is_file()
    )  # before, it is looked at with all others
    with Image.open(spoilt) as label:
        Image.new(label.mode, label.size, 77).save(spoilt)
    assert process.ended() == 1
    assert f"label 77 in '{spoilt}': classes are 0 to 18, 255 is ignored" in process.text
    assert record_in(process.work_dir).attempts[0].message.startswith(f"label 77 in '{spoilt}'")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_decoded_is_named_in_mid_run(
    start: Callable[..., RunProcess], tmp_path: Path, workers: int
) -> None:
    from provecfg.catalog.datasets import DATASETS
    from provecfg.data.scenes import Drawing, smoke_data_for

    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=40, val=2, width=96, height=54), tmp_path / "data")
    spoilt = sorted((root / "labels/sem_seg/masks/train").iterdir())[1]
    process = start(write_small_cell(tmp_path / "cell.py", root, **LONG, workers=workers))
    process.wait_until(
        lambda: (process.work_dir / "provecfg.json").is_file()
    )  # before, it is looked at with all others
    spoilt.write_bytes(spoilt.read_bytes()[:30])
    assert process.ended() == 1
    message = record_in(process.work_dir).attempts[0].message
    assert f"label map '{spoilt}' cannot be loaded: " in message
    assert "Traceback" not in message


def test_a_signal_in_the_first_moments_is_received_and_nothing_is_left_running(cell: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "provecfg", "run", cell.name, "--work-dir", "run", "--device", "cpu"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    status = Path(f"/proc/{process.pid}/status")
    blocked = 0
    while not blocked & 1 << (signal.SIGUSR1 - 1):
        blocked = int(next(line[7:] for line in status.read_text().splitlines() if line.startswith("SigBlk:")), 16)
    process.send_signal(signal.SIGUSR1)
    _, text = process.communicate(timeout=120)
    assert process.returncode == 75, text
    assert text == "SIGUSR1 while nothing was training: there is nothing to save\n"
    assert not (tmp_path / "run").exists()


def processes_of(process: RunProcess) -> dict[str, list[int]]:
    """torchrun and the processes that train, by the work dir in their command lines."""
    pids: dict[str, list[int]] = {"torchrun": [], "worker": []}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            for name, numbers in pids.items():
                if f"provecfg.training.{name}" in words[:5] and any(str(process.work_dir) in word for word in words):
                    numbers.append(int(folder.name))
    return pids


def come_true(claim: Callable[[], bool]) -> None:
    """Wait for something that takes moments."""
    for _ in range(1200):
        if claim():
            return
        time.sleep(0.1)
    pytest.fail("it did not come true in two minutes")


def test_of_several_processes_all_may_get_the_signal_and_each_finishes(
    start: Callable[..., RunProcess], long_cell: Path
) -> None:
    process = start(long_cell, "--gpus", 2)
    process.wait_for_file("iter_4.pth")
    pids = processes_of(process)
    assert [len(pids[name]) for name in ("torchrun", "worker")] == [1, 2]
    for pid in (process.pid, *pids["torchrun"], *pids["worker"]):  # as srun does
        os.kill(pid, signal.SIGUSR1)
    assert process.ended() == 75, process.text
    assert "Traceback" not in process.text
    (attempt,) = record_in(process.work_dir).attempts
    assert (attempt.state, attempt.requeue, attempt.processes) == ("interrupted", True, 2)
    assert (
        attempt.message
        == f"SIGUSR1 after iteration {attempt.last_iter}: iter_{attempt.last_iter}.pth holds what was done"
    )
    assert processes_of(process) == {"torchrun": [], "worker": []}


def test_of_several_processes_one_that_is_killed_fails_the_run_by_its_name(
    start: Callable[..., RunProcess], long_cell: Path
) -> None:
    process = start(long_cell, "--gpus", 2)
    process.wait_for_file("iter_4.pth")
    os.kill(max(processes_of(process)["worker"]), signal.SIGKILL)
    assert process.ended() == 1
    (attempt,) = record_in(process.work_dir).attempts
    assert (attempt.state, attempt.cause) == ("failed", "killed")
    assert attempt.message.startswith("of its 2 processes, killed: process ")
    assert "torch.distributed.elastic" not in process.text
    assert look_at_lease(process.work_dir).tenancy is Tenancy.FREE


def test_of_several_processes_none_outlives_the_one_that_started_them(
    start: Callable[..., RunProcess], long_cell: Path
) -> None:
    process = start(long_cell, "--gpus", 2)
    process.wait_for_file("iter_4.pth")
    process.send(signal.SIGKILL)
    process.ended()
    come_true(lambda: look_at_lease(process.work_dir).tenancy is Tenancy.GONE)
    (attempt,) = record_in(process.work_dir).attempts
    assert attempt.state == "interrupted"
    assert (process.work_dir / f"iter_{attempt.last_iter}.pth").is_file()
    come_true(lambda: processes_of(process) == {"torchrun": [], "worker": []})


def test_of_several_processes_a_second_ctrl_c_leaves_none(start: Callable[..., RunProcess], long_cell: Path) -> None:
    process = start(long_cell, "--gpus", 2)
    process.wait_until(lambda: len(processes_of(process)["worker"]) == 2)
    process.send(signal.SIGINT)
    time.sleep(0.5)
    process.send(signal.SIGINT)
    assert process.ended() == 130
    assert record_in(process.work_dir).state == "interrupted"
    come_true(lambda: processes_of(process) == {"torchrun": [], "worker": []})
