from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.training import record as records
from provecfg.training import work_dir as work_dirs
from provecfg.training.record import Record, new_attempt
from provecfg.training.work_dir import (
    WorkDir,
    check_disk,
    check_work_dir,
    latest_checkpoint,
    read_work_dir,
    step_of,
    work_dir_of,
)

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
