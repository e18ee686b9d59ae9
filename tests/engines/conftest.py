from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provecfg.engines import cell_process

HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "generated" / "pspnet_r50_bdd10k_ce.py"


@pytest.fixture
def configs(tmp_path: Path):
    """Copies of a right config under names that tell `fake_trainer` what to do."""

    def make(*names: str) -> list[Path]:
        folder = tmp_path / "configs"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / f"{name}.py").write_text(CONFIG.read_text())
        return [folder / f"{name}.py" for name in names]

    return make


@pytest.fixture
def _fake_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are trained by `fake_trainer`."""
    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1]))
    trainer = str(HERE / "fake_trainer.py")
    monkeypatch.setattr(cell_process, "run_command", lambda *words: [sys.executable, trainer, *map(str, words[:2])])
