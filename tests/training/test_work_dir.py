from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.training import record as records
from provecfg.training import work_dir as work_dirs
from provecfg.training.record import Record, new_attempt
from provecfg.training.work_dir import WorkDir, check_disk, check_work_dir, latest_checkpoint, read_work_dir, step_of

pytestmark = pytest.mark.stack

FINGERPRINT = {"model": "1", "train_cfg": "2"}


def record_of(state: str = records.INTERRUPTED, *, smoke: bool = False, pid: int | None = None) -> Record:
    attempt = new_attempt(first_iter=0, command=(), device="cpu", processes=1)
    attempt = replace(attempt, state=state, last_iter=8, pid=pid or attempt.pid)
    return Record("a", {}, FINGERPRINT, smoke, 10, 42, {}, None, attempts=(attempt,))


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A work dir with a checkpoint and the record of an interrupted run."""
    (tmp_path / "iter_8.pth").touch()
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_8.pth"))
    record_of().write(tmp_path)
    return tmp_path


def codes(path: Path, fingerprint: dict[str, str] = FINGERPRINT, *, smoke: bool = False, resume: bool = True) -> list:
    found = read_work_dir(path, smoke=smoke, fingerprint=fingerprint)
    return [finding.problem.code for finding in check_work_dir(found, fingerprint, smoke=smoke, resume=resume)]


def test_a_new_work_dir_is_fine(tmp_path: Path) -> None:
    assert codes(tmp_path / "new" / "deeper") == []
    assert codes(tmp_path, resume=False) == []


def test_an_interrupted_run_goes_on_from_its_checkpoint(used: Path) -> None:
    assert codes(used) == []
    found = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    assert found.resume_from == used / "iter_8.pth"


def test_a_used_work_dir_is_refused_without_resume(used: Path) -> None:
    found = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    (finding,) = check_work_dir(found, FINGERPRINT, smoke=False, resume=False)
    assert finding.problem.code == "RUN142"
    assert str(used) in finding.message
    assert "iter_8.pth" in finding.message


def test_two_runs_are_not_mixed(used: Path) -> None:
    found = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    (finding,) = check_work_dir(found, {"model": "9", "train_cfg": "2"}, smoke=False, resume=True)
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
    record_of(records.RUNNING, pid=os.getppid()).write(used)
    assert "RUN143" in codes(used)
    record_of(records.RUNNING, pid=2**22 + 1).write(used)  # above the highest process number
    assert codes(used) == []


def test_a_finished_run_is_complete_only_for_its_own_config(used: Path) -> None:
    record_of(records.FINISHED).write(used)
    found = read_work_dir(used, smoke=False, fingerprint=FINGERPRINT)
    assert found.is_complete(FINGERPRINT)
    assert not found.is_complete({"model": "9"})


def test_a_finished_smoke_run_is_replaced_and_an_interrupted_one_goes_on(used: Path) -> None:
    record_of(smoke=True).write(used)
    assert read_work_dir(used, smoke=True, fingerprint=FINGERPRINT).resume_from is not None
    record_of(records.FINISHED, smoke=True).write(used)
    (used / "notes.txt").touch()
    found = read_work_dir(used, smoke=True, fingerprint=FINGERPRINT)
    assert found.resume_from is None
    assert not found.is_complete(FINGERPRINT)
    assert codes(used, smoke=True) == []
    found.clear()
    assert [path.name for path in used.iterdir()] == ["notes.txt"]


def test_only_a_smoke_run_is_cleared(used: Path) -> None:
    WorkDir(used, record_of(), used / "iter_8.pth").clear()
    assert (used / "iter_8.pth").exists()


def test_a_work_dir_that_was_moved_still_finds_its_checkpoint(used: Path) -> None:
    moved = used.rename(used.with_name("moved"))
    assert latest_checkpoint(moved) == moved / "iter_8.pth"


def test_without_its_pointer_the_latest_step_counts(tmp_path: Path) -> None:
    for name in ("iter_9.pth", "iter_10.pth", "best_val_mIoU_iter_11.pth"):
        (tmp_path / name).touch()
    latest = latest_checkpoint(tmp_path)
    assert latest is not None
    assert latest.name == "iter_10.pth"
    assert (step_of(latest), step_of(None)) == (10, 0)


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
