from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.ledger.cell import Cell
from provecfg.ledger.study_folder import (
    EngineJob,
    EngineJobs,
    Study,
    Submission,
    add_submission,
    engine_jobs_of,
    read_study,
    read_submission,
    require_study,
    submissions_of,
    write_engine_jobs,
    write_study,
)

CELLS = tuple(Cell(f"{name}-0", name, "0", f"configs/{name}.py", f"../{name}.py", {}) for name in ("a", "b"))
STUDY = Study("loss", "2026-01-01T00:00:00+00:00", CELLS, ("--max-iters", "10"), {"max_iters": 10}, {"python": "3.11"})


def submission(number: int) -> Submission:
    return Submission(number, "loss", "slurm", STUDY.made, {"gpus_per_node": 1}, (("a-0", "b-0"),))


def test_a_study_is_read_as_it_was_written_wherever_its_folder_is(tmp_path: Path) -> None:
    write_study(tmp_path / "study", STUDY)
    (tmp_path / "study").rename(tmp_path / "moved")
    assert read_study(tmp_path / "moved") == STUDY
    assert sorted(path.name for path in (tmp_path / "moved" / "cells").iterdir()) == ["a-0", "b-0"]


def test_a_study_is_written_once(tmp_path: Path) -> None:
    write_study(tmp_path, STUDY)
    with pytest.raises(ProvecfgError, match="holds a study already"):
        write_study(tmp_path, STUDY)


def test_folders_are_writable_for_the_group_where_their_parent_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    write_study(tmp_path / "shared", STUDY)
    folders = [path for path in (tmp_path / "shared").rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & 0o020 for path in (tmp_path / "shared", *folders))
    tmp_path.chmod(0o700)
    write_study(tmp_path / "own", STUDY)
    assert not (tmp_path / "own" / "cells").stat().st_mode & 0o020


def test_submissions_made_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    write_study(tmp_path, STUDY)
    with ThreadPoolExecutor(8) as pool:
        numbers = [each.number for each in pool.map(lambda _: add_submission(tmp_path, submission), range(16))]
    assert sorted(numbers) == list(range(1, 17))
    assert submissions_of(tmp_path) == [submission(number) for number in range(1, 17)]
    assert read_submission(tmp_path, 3) == submission(3)


def test_an_engines_jobs_are_known_once_they_are_written_down(tmp_path: Path) -> None:
    write_study(tmp_path, STUDY)
    made = add_submission(tmp_path, submission)
    assert engine_jobs_of(tmp_path, made) == ()
    write_engine_jobs(tmp_path, made, EngineJobs((EngineJob("17", 0, 1),)))
    assert engine_jobs_of(tmp_path, made) == (EngineJob("17", 0, 1),)


def test_what_is_broken_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"holds no submitted study: there is no study\.json"):
        require_study(tmp_path)
    write_study(tmp_path, STUDY)
    with pytest.raises(ProvecfgError, match="has no submission 4"):
        read_submission(tmp_path, 4)
    with pytest.raises(ProvecfgError, match="unknown cell 'c'"):
        STUDY.cell("c")
    (tmp_path / "study.json").write_text((tmp_path / "study.json").read_text()[:40])
    with pytest.raises(ProvecfgError, match=r"study\.json is broken: it is no JSON"):
        read_study(tmp_path)
