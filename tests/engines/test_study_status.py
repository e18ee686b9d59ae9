from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provecfg.commands import logs
from provecfg.engines.study_status import is_under_way, work_dir_named
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_logs import CONSOLE
from provecfg.training.record import FINISHED, read_record
from tests.engines.conftest import HERE


def test_a_log_is_followed_to_the_end_of_its_cell(
    tmp_path: Path, configs, provecfg, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_POLL_SECONDS", "_ASK_SECONDS"):
        monkeypatch.setattr(logs, name, 0.1)
    (config,) = configs("quick")
    work_dir = tmp_path / "runs" / "quick"
    work_dir.mkdir(parents=True)
    words = [sys.executable, HERE / "fake_trainer.py", config, work_dir]
    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1]))
    with open(work_dir / CONSOLE, "wb") as console, subprocess.Popen(words, stdout=console) as trainer:
        while not list(work_dir.glob("provecfg.json")):
            assert trainer.poll() is None
        code, out, _ = provecfg("logs", tmp_path / "runs", "quick", "-f")
    record = read_record(work_dir)
    assert record is not None
    assert (code, record.state) == (0, FINISHED)
    assert out.startswith(f"==> {work_dir / CONSOLE} <==\ntrains from 0")
    assert not is_under_way(tmp_path / "runs", work_dir)
    with pytest.raises(ProvecfgError, match="unknown cell 'quik'; did you mean 'quick'"):
        work_dir_named(tmp_path / "runs", "quik")
