from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.training import record as records
from provecfg.training.record import Attempt, Record, is_alive, new_attempt, read_record

pytestmark = pytest.mark.stack


@pytest.fixture
def record() -> Record:
    attempt = new_attempt(first_iter=0, command=("provecfg", "run", "a.py"), device="cpu", processes=1)
    return Record("a", {"path": "a.py"}, {"model": "1"}, False, 100, 42, records.versions(), None).started(attempt)


def test_a_record_reads_back_as_it_was_written(record: Record, tmp_path: Path) -> None:
    ended = record.ended(
        records.STOPPED, 40, "why", best={"metric": "val/mIoU", "value": 1.0, "checkpoint": "b.pth"}, last="c.pth"
    )
    ended.write(tmp_path)
    assert read_record(tmp_path) == ended
    assert [path.name for path in tmp_path.iterdir()] == [records.FILENAME]


def test_an_attempt_ends_with_its_time_and_keeps_the_earlier_ones(record: Record) -> None:
    twice = record.ended(records.INTERRUPTED, 40, "", best=None, last="c.pth").started(record.attempts[0])
    twice = twice.ended(records.FINISHED, 100, "", best=None, last="d.pth")
    assert [(attempt.state, attempt.last_iter) for attempt in twice.attempts] == [
        ("interrupted", 40),
        ("finished", 100),
    ]
    assert twice.state == records.FINISHED
    assert all(attempt.ended for attempt in twice.attempts)


def test_the_best_of_an_earlier_attempt_is_kept_where_there_is_no_better(record: Record) -> None:
    best = {"metric": "val/mIoU", "value": 1.0, "checkpoint": "b.pth"}
    once = record.ended(records.INTERRUPTED, 40, "", best=best, last=None).started(record.attempts[0])
    assert once.ended(records.FAILED, 41, "", best=None, last=None).best == best


def test_no_record_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "nowhere") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"attempts": 3}', '{"attempts": [], "unknown": 1}'])
def test_what_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / records.FILENAME).write_text(text)
    with pytest.raises(ProvecfgError, match="is not a record of a run"):
        read_record(tmp_path)


def test_a_process_that_is_no_more_is_not_alive(record: Record) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (attempt,) = record.attempts
    assert not is_alive(replace(attempt, pid=int(gone.stdout)))
    assert is_alive(replace(attempt, pid=os.getppid()))
    assert not is_alive(replace(attempt, pid=os.getppid(), state=records.FINISHED))
    assert not is_alive(replace(attempt, pid=os.getppid(), host=f"not-{socket.gethostname()}"))


def test_a_record_names_the_parts_that_train_something_else(record: Record) -> None:
    record = replace(record, fingerprint={"model": "1", "train_cfg": "2"})
    assert record.differences({"train_cfg": "2", "model": "1"}) == []
    assert record.differences({"model": "3", "randomness": "4", "train_cfg": "2"}) == ["model", "randomness"]


def test_the_header_of_a_generated_config_names_its_study_and_its_cell(project: Path) -> None:
    path = project / "generated" / "pspnet_r50_bdd10k_ce.py"
    facts = records.config_facts(path, path.read_text())
    assert facts["study"] == "loss-study"
    assert len(facts["study_digest"]) == 16
    assert facts["cell"] == {
        "model": "pspnet_r50",
        "dataset": "bdd10k",
        "strategy": "baseline",
        "loss": "ce",
        "seed": 42,
    }
    assert set(records.config_facts(path, "model = dict()")) == {"path", "sha256"}


def test_sources_are_kept_with_the_folders_that_tell_them_apart(tmp_path: Path) -> None:
    files = {Path("/a/configs/x.py"): "child\n", Path("/a/_base_/x.py"): "base\n"}
    records.keep_sources(tmp_path, files)
    kept = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.py")}
    assert kept == {"source/configs/x.py": "child\n", "source/_base_/x.py": "base\n"}


def test_the_state_of_git_is_kept_where_there_is_one(project: Path, tmp_path: Path) -> None:
    assert records.git_state(tmp_path) is None
    if (project / ".git").exists():
        state = records.git_state(project)
        assert state is not None
        assert len(state["commit"]) == 40


def test_versions_name_the_installed_stack() -> None:
    found = records.versions()
    assert {"python", "provecfg", "torch", "numpy"} <= set(found)
    assert any("mmengine" in name for name in found)


def test_the_record_is_plain_json(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path)
    fields = json.loads((tmp_path / records.FILENAME).read_text())
    assert fields["attempts"][0]["state"] == "running"
    assert set(fields["attempts"][0]) == set(Attempt.__dataclass_fields__)
