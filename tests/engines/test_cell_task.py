from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from provecfg.engines import cell_process
from provecfg.engines.cell_process import Verdict
from provecfg.engines.cell_task import CellTask
from provecfg.engines.profile import profile_of
from provecfg.engines.submitting import submission_of
from provecfg.errors import ExitCode
from provecfg.interruption import StopSignals
from provecfg.ledger.cell import Cell
from provecfg.ledger.study_folder import Study, add_submission, write_study
from provecfg.training.job import Job
from provecfg.training.json_file import write_json_file
from provecfg.training.lease import ENDED_HOLDER, Holder, lease_path
from provecfg.training.record import FINISHED, read_record


def test_a_life_that_fails_beside_the_lease_of_one_that_is_gone_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [sys.executable, "-c", "print('error: no such data'); raise SystemExit(1)"]
    monkeypatch.setattr(cell_process, "run_command", lambda *_: words)
    holder = dataclasses.replace(Holder.this_process("lost"), host="elsewhere")
    write_json_file(lease_path(tmp_path, 1), holder)
    ends = {}
    for token in ("another", holder.token):
        process = cell_process.CellProcess(tmp_path / "config.py", tmp_path, (), {ENDED_HOLDER: token})
        ends[token] = process.end()
    assert ends["another"].verdict is Verdict.ELSEWHERE
    assert (ends[holder.token].verdict, ends[holder.token].message) == (Verdict.FAILED, "error: no such data")


@pytest.mark.usefixtures("_fake_training")
@pytest.mark.parametrize(
    ("told", "is_trained"),
    [
        ("6|0|NODE_FAIL|NodeDown", True),
        ("6|0|PENDING|BeginTime", True),
        ("6|0|RUNNING|None", False),
        ("6|0|SUSPENDED|None", False),
        ("", False),
    ],
)
def test_a_cell_whose_holder_the_scheduler_has_ended_is_not_waited_for(
    tmp_path: Path, configs, monkeypatch: pytest.MonkeyPatch, told: str, is_trained: bool
) -> None:
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\necho '{told}'\n" if told else "#!/bin/sh\necho Invalid job id >&2; exit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    (config,) = configs("quick")
    cell = Cell("quick-0", "quick", "0", str(config), str(config), {})
    study = Study("loss", "2026-01-01T00:00:00+00:00", (cell,), (), {}, {})
    folder = tmp_path / "study"
    write_study(folder, study)
    add_submission(folder, lambda number: submission_of(study, [cell.id], profile_of({}), number))
    work_dir = folder / cell.work_dir
    holder = dataclasses.replace(Holder.this_process("lost"), host="elsewhere", job=Job("slurm", "6", 0))
    write_json_file(lease_path(work_dir, 1), holder)

    notes: list[str] = []
    task, signals = CellTask(folder, 1, 0, notes.append), StopSignals()
    with signals.listening():
        assert task.run(signals) == ExitCode.CLEAN
    record = read_record(work_dir)
    assert (record is not None and record.state == FINISHED) == is_trained
    assert ("elsewhere: already being trained by process" in notes[0]) != is_trained
