from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.training import record as records
from provecfg.training.fingerprint import stopping_of
from provecfg.training.job import Job
from provecfg.training.record import Attempt, Ending, Record, new_attempt, read_record

pytestmark = pytest.mark.stack


@pytest.fixture
def record() -> Record:
    attempt = new_attempt(first_iter=0, command=("provecfg", "run", "a.py"), device="cpu", processes=1)
    return Record("a", {"path": "a.py"}, {"model": "1"}, False, 100, 42, records.versions(), None).started(attempt)


def test_a_record_reads_back_as_it_was_written(record: Record, tmp_path: Path) -> None:
    (attempt,) = record.attempts
    record = replace(record, attempts=(replace(attempt, job=Job("slurm", "7", 3, 1)),))
    best = {"metric": "val/mIoU", "value": 1.0, "checkpoint": "b.pth"}
    ended = record.closed(Ending(records.INTERRUPTED, "why", requeue=True), 40, best=best, last="c.pth")
    ended.write(tmp_path)
    assert read_record(tmp_path) == ended
    assert [path.name for path in tmp_path.iterdir()] == [records.FILENAME]


def test_an_attempt_ends_with_its_time_and_keeps_the_earlier_ones(record: Record) -> None:
    twice = record.closed(Ending(records.INTERRUPTED), 40, last="c.pth").started(record.attempts[0])
    twice = twice.closed(Ending(records.FINISHED), 100, last="d.pth")
    assert [(attempt.state, attempt.last_iter) for attempt in twice.attempts] == [
        ("interrupted", 40),
        ("finished", 100),
    ]
    assert twice.state == records.FINISHED
    assert all(attempt.ended for attempt in twice.attempts)


def test_the_best_of_an_earlier_attempt_is_kept_where_there_is_no_better(record: Record) -> None:
    best = {"metric": "val/mIoU", "value": 1.0, "checkpoint": "b.pth"}
    once = record.closed(Ending(records.INTERRUPTED), 40, best=best).started(record.attempts[0])
    assert once.closed(Ending(records.FAILED), 41).best == best


def test_a_run_that_reached_its_end_or_stopped_by_the_rule_that_holds_is_complete(record: Record) -> None:
    record = replace(record, stopping="patience 5")

    def is_complete(state: str, stopping: str = "patience 5", **fingerprint: str) -> bool:
        return record.closed(Ending(state), 40).is_complete({"model": "1", **fingerprint}, stopping)

    assert is_complete(records.FINISHED)
    assert is_complete(records.STOPPED)
    assert is_complete(records.FINISHED, "patience 9")
    assert not is_complete(records.STOPPED, "patience 9")
    assert not is_complete(records.STOPPED, model="2")
    for state in (records.INTERRUPTED, records.FAILED, records.LOST):
        assert not is_complete(state)


def test_what_may_stop_a_run_early_is_in_its_hooks_and_not_in_the_place_of_its_data() -> None:
    def config(patience: int, root: str) -> dict:
        return {"custom_hooks": [{"type": "EarlyStoppingHook", "patience": patience, "data_root": root}]}

    assert stopping_of(config(5, "here")) == stopping_of(config(5, "there"))
    assert stopping_of(config(5, "here")) != stopping_of(config(6, "here"))


def test_no_record_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    assert read_record(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"attempts": 3}, "attempts is 3, not a list"),
        ({"attempts": [3]}, r"attempts\[0\] is 3, not an object"),
        ({"unknown": 1}, "unknown is no field of it"),
        ({"smoke": 1}, "smoke is 1, not bool"),
        ({"max_iters": True}, "max_iters is true, not int"),
        ({"max_iters": "100"}, 'max_iters is "100", not int'),
        ({"fingerprint": {"model": 1}}, r"fingerprint\.model is 1, not str"),
    ],
)
def test_a_record_with_a_field_of_a_wrong_type_is_named_with_it(
    record: Record, tmp_path: Path, change: dict, reason: str
) -> None:
    record.write(tmp_path)
    path = tmp_path / records.FILENAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ProvecfgError, match=rf"provecfg\.json is not a record of a run: .*{reason}"):
        read_record(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '"\\ud800"', "{'a': 1}", "9" * 10_000])
def test_what_is_no_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / records.FILENAME).write_text(text)
    with pytest.raises(ProvecfgError, match="is not a record of a run") as error:
        read_record(tmp_path)
    assert "move it away" in (error.value.hint or "")


def test_a_pipe_in_place_of_the_record_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / records.FILENAME)
    with pytest.raises(ProvecfgError, match="is a pipe"):
        read_record(tmp_path)


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
    installed = records.versions()
    assert {"python", "provecfg", "torch", "numpy"} <= set(installed)
    assert any("mmengine" in name for name in installed)


def test_the_record_is_plain_json(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path)
    fields = json.loads((tmp_path / records.FILENAME).read_text())
    assert fields["attempts"][0]["state"] == "running"
    assert set(fields["attempts"][0]) == set(Attempt.__dataclass_fields__)
