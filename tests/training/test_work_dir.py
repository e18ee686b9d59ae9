from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.training import lease
from provecfg.training import record as records
from provecfg.training import work_dir as work_dirs
from provecfg.training.record import Record, new_attempt
from provecfg.training.work_dir import (
    BrokenCheckpoint,
    WorkDir,
    check_disk,
    check_lease,
    check_work_dir,
    checkpoints_of,
    clear_partial_files,
    clear_smoke_run,
    name_in,
    read_work_dir,
    set_broken_aside,
    step_of,
    work_dir_of,
)

pytestmark = pytest.mark.stack

FINGERPRINT = {"model": "1", "train_cfg": "2"}


def record_of(state: str = records.INTERRUPTED, *, smoke: bool = False) -> Record:
    attempt = new_attempt(first_iter=0, command=(), device="cpu", processes=1)
    attempt = replace(attempt, state=state, last_iter=8)
    return Record("a", {}, FINGERPRINT, smoke, 10, 42, {}, None, attempts=(attempt,))


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A work dir with a checkpoint and the record of an interrupted run."""
    (tmp_path / "iter_8.pth").touch()
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_8.pth"))
    record_of().write(tmp_path)
    return tmp_path


def codes(path: Path, fingerprint: dict[str, str] = FINGERPRINT, *, smoke: bool = False, resume: bool = True) -> list:
    work_dir = read_work_dir(path, smoke=smoke, fingerprint=fingerprint)
    return [finding.problem.code for finding in check_work_dir(work_dir, fingerprint, smoke=smoke, resume=resume)]


# Which folder it is

CELL = "work_dir = 'work_dirs/study/cell'\nmodel = dict()\ntrain_dataloader = dict()\ntrain_cfg = dict(max_iters=1)\n"


@pytest.fixture
def resolved(tmp_path: Path):
    """The work dir of `child.py`, with the texts of it and its bases given by name."""
    from mmengine.config import Config

    def of(child: str, cfg_options: tuple[str, ...] = (), **bases: str) -> str:
        for name, text in {**bases, "child": child}.items():
            (tmp_path / f"{name}.py").write_text(text)
        config = Config.fromfile(tmp_path / "child.py")
        config.merge_from_dict(dict(option.split("=") for option in cfg_options))
        return work_dir_of(tmp_path / "child.py", config, cfg_options=cfg_options).as_posix()

    return of


def test_a_config_that_says_its_work_dir_has_that_one(resolved) -> None:
    assert resolved(CELL) == "work_dirs/study/cell"
    assert resolved("_base_ = 'cell.py'\nwork_dir = 'mine'\n", cell=CELL) == "mine"


def test_a_config_that_says_none_goes_by_its_name() -> None:
    assert work_dir_of(Path("configs/x.py"), {}) == Path("work_dirs/x")
    assert work_dir_of(Path("configs/x.py"), {"work_dir": None}) == Path("work_dirs/x")


@pytest.mark.parametrize(
    "child", ["_base_ = 'cell.py'\n", "_base_ = 'between.py'\n", "with read_base():\n    from .cell import *\n"]
)
def test_a_child_does_not_write_into_the_run_of_its_base(resolved, child: str) -> None:
    imported = "from mmengine.config import read_base\n" if "read_base" in child else ""
    assert resolved(imported + child, cell=CELL, between="_base_ = 'cell.py'\n") == "work_dirs/child"


def test_a_base_that_trains_nothing_says_it_for_its_children(resolved) -> None:
    runtime = "work_dir = '/runs/today'\nlog_level = 'INFO'\n"
    assert resolved("_base_ = 'runtime.py'\nmodel = dict()\n", runtime=runtime) == "/runs/today"


def test_the_command_line_wins(resolved, tmp_path: Path) -> None:
    assert resolved("_base_ = 'cell.py'\n", ("work_dir=asked",), cell=CELL) == "asked"
    path = tmp_path / "child.py"
    assert work_dir_of(path, {"work_dir": "w"}, chosen=Path("mine"), cfg_options=("work_dir=w",)) == Path("mine")
    assert work_dir_of(path, {"work_dir": "w"}, smoke=True) == Path("work_dirs/smoke/child")


# What is in it


def test_a_new_work_dir_is_fine(tmp_path: Path) -> None:
    assert codes(tmp_path / "new" / "deeper") == []
    assert codes(tmp_path, resume=False) == []


def test_an_interrupted_run_goes_on_from_its_checkpoint(used: Path) -> None:
    assert codes(used) == []
    work_dir = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    assert work_dir.resume_from == used / "iter_8.pth"


def test_a_used_work_dir_is_refused_without_resume(used: Path) -> None:
    work_dir = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    (finding,) = check_work_dir(work_dir, FINGERPRINT, smoke=False, resume=False)
    assert finding.problem.code == "RUN142"
    assert str(used) in finding.message
    assert "iter_8.pth" in finding.message


def test_two_runs_are_not_mixed(used: Path) -> None:
    work_dir = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    (finding,) = check_work_dir(work_dir, {"model": "9", "train_cfg": "2"}, smoke=False, resume=True)
    assert finding.problem.code == "RUN141"
    assert finding.message == f"{str(used)!r} holds a run of a that differs from this one in model"


def test_a_smoke_run_and_a_real_one_are_not_mixed(used: Path) -> None:
    assert codes(used, smoke=True) == ["RUN141"]
    record_of(smoke=True).write(used)
    assert codes(used) == ["RUN141"]


def test_a_run_that_failed_before_a_checkpoint_blocks_nothing(tmp_path: Path) -> None:
    record_of(records.FAILED).write(tmp_path)
    assert codes(tmp_path, {"model": "9"}) == []
    assert codes(tmp_path, resume=False) == []


def test_checkpoints_without_a_record_are_a_warning(used: Path) -> None:
    (used / records.FILENAME).unlink()
    assert codes(used) == ["RUN144"]


def test_a_run_that_is_going_on_is_not_joined(used: Path) -> None:
    assert check_lease(used) == check_lease(used / "nowhere") == []
    taken = lease.acquire(used)
    (finding,) = check_lease(used)
    assert finding.problem.code == "RUN143"
    assert f"process {os.getpid()} on" in finding.message
    taken.release()
    assert check_lease(used) == []


def test_a_finished_run_is_complete_only_for_its_own_config(used: Path) -> None:
    record_of(records.FINISHED).write(used)
    work_dir = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    assert work_dir.is_complete(FINGERPRINT, "")
    assert not work_dir.is_complete({"model": "9"}, "")


def test_a_finished_smoke_run_is_replaced_and_an_interrupted_one_goes_on(used: Path) -> None:
    for state in (records.RUNNING, records.INTERRUPTED, records.LOST):
        record_of(state, smoke=True).write(used)
        assert read_work_dir(used, smoke=True, fingerprint=FINGERPRINT).resume_from is not None
    record_of(records.FINISHED, smoke=True).write(used)
    (used / "notes.txt").touch()
    (used / "iter_8.pth.sha256").touch()
    work_dir = read_work_dir(used, smoke=True, fingerprint=FINGERPRINT)
    assert work_dir.resume_from is None
    assert not work_dir.is_complete(FINGERPRINT, "")
    assert codes(used, smoke=True) == []
    clear_smoke_run(work_dir)
    assert [path.name for path in used.iterdir()] == ["notes.txt"]


def test_only_a_smoke_run_is_cleared(used: Path) -> None:
    clear_smoke_run(WorkDir(used, record_of(), used / "iter_8.pth"))
    assert (used / "iter_8.pth").exists()


def test_a_work_dir_that_was_moved_still_finds_its_checkpoint(used: Path) -> None:
    moved = used.rename(used.with_name("moved"))
    assert checkpoints_of(moved) == [moved / "iter_8.pth"]


def test_a_work_dir_that_was_copied_goes_on_in_the_copy(used: Path) -> None:
    copy = used / "copy"
    copy.mkdir()
    for name in ("iter_8.pth", "last_checkpoint"):
        (copy / name).write_bytes((used / name).read_bytes())
    assert checkpoints_of(copy) == [copy / "iter_8.pth"]


def test_without_its_pointer_the_latest_step_counts(tmp_path: Path) -> None:
    for name in ("iter_9.pth", "iter_10.pth", "best_val_mIoU_iter_11.pth"):
        (tmp_path / name).touch()
    assert [path.name for path in checkpoints_of(tmp_path)] == ["iter_10.pth", "iter_9.pth"]
    assert (step_of(tmp_path / "iter_10.pth"), step_of(None)) == (10, 0)


@pytest.mark.parametrize("pointer", [b"", b"\xff\xfe", b"\0", b"nowhere/iter_7.pth", b"/", b"a" * 5000])
def test_a_pointer_that_points_nowhere_is_passed_over(tmp_path: Path, pointer: bytes) -> None:
    (tmp_path / "iter_9.pth").touch()
    (tmp_path / "last_checkpoint").write_bytes(pointer)
    assert checkpoints_of(tmp_path) == [tmp_path / "iter_9.pth"]


def test_the_pointer_comes_before_a_later_step(tmp_path: Path) -> None:
    for name in ("iter_8.pth", "iter_10.pth", "iter_9.pth"):
        (tmp_path / name).touch()
    (tmp_path / "last_checkpoint").write_text("iter_9.pth")
    assert [path.name for path in checkpoints_of(tmp_path)] == ["iter_9.pth", "iter_10.pth", "iter_8.pth"]


def test_a_broken_checkpoint_is_set_aside_and_the_whole_one_named(used: Path) -> None:
    (used / "iter_6.pth").touch()
    (used / "iter_8.pth.sha256").touch()
    broken = (BrokenCheckpoint(used / "iter_8.pth", "it is cut off"),)
    set_broken_aside(WorkDir(used, None, used / "iter_6.pth", broken=broken))
    assert checkpoints_of(used) == [used / "iter_6.pth"]
    assert (used / "last_checkpoint").read_text() == str(used / "iter_6.pth")
    assert (used / "iter_8.pth.broken").is_file()
    assert not (used / "iter_8.pth.sha256").exists()


def test_what_dead_processes_left_half_written_is_cleared_and_nothing_else(used: Path) -> None:
    (used / "source").mkdir()
    remains = [
        *(".provecfg.json.abcd.part", ".heartbeat.abcd.part", ".a[1].py.abcd.part", ".last_checkpoint.abcd.part"),
        *("iter_9.pth.partial", "last_checkpoint.partial", "source/.a[1].py.abcd.part", ".lease.old"),
    ]
    kept = [".a[1].proof.json.abcd.part", "notes.part", ".lease.new", "source/a[1].py"]
    for name in (*remains, *kept):
        (used / name).touch()
    long_ago = time.time() - lease.SILENCE_SECONDS - 1
    os.utime(used / ".lease.old", (long_ago, long_ago))
    clear_partial_files(used, "a[1].py")
    assert [name for name in remains if (used / name).exists()] == []
    assert [name for name in kept if not (used / name).exists()] == []
    assert (used / "iter_8.pth").exists()


def test_a_file_is_named_as_the_work_dir_sees_it_wherever_that_was_before(used: Path) -> None:
    assert name_in(used, "/somewhere/before/iter_8.pth") == "iter_8.pth"
    assert name_in(used, used / "iter_8.pth") == "iter_8.pth"
    assert name_in(used, "/elsewhere/iter_9.pth") == "/elsewhere/iter_9.pth"
    assert name_in(used, None) is None


def test_a_file_in_place_of_the_work_dir_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert codes(tmp_path / "file") == ["RUN134"]
    assert codes(tmp_path / "file" / "below") == ["RUN134"]


def test_little_disk_says_how_much_and_how_little(tmp_path: Path) -> None:
    assert check_disk(tmp_path, 1) == []
    (finding,) = check_disk(tmp_path / "new", 2**60)
    assert finding.problem.code == "RUN133"
    assert f"checkpoints take {2**30:.1f} GiB" in finding.message


def test_the_floor_is_checked_with_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_dirs, "_LEAST_FREE", 2**60)
    assert codes(tmp_path) == ["RUN133"]
