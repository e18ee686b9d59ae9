"""`provecfg prove` as it is typed, and `run --require-proof`, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.proof.receipt import read_receipt
from tests.command_server import CommandServer

pytestmark = [pytest.mark.stack, pytest.mark.slow]  # proves, which builds and trains

Command = Callable[..., tuple[int, str, str]]
NAME = "pspnet_r50_bdd10k_ce"


@pytest.fixture
def config(project: Path, tmp_path: Path) -> Path:
    """A copy of a generated config, in a folder of its own that is stood in."""
    return Path(shutil.copy(project / "generated" / f"{NAME}.py", tmp_path / f"{NAME}.py"))


@pytest.fixture
def typed(config: Path, command_server: CommandServer, command_environment: dict[str, str]) -> Command:
    """Type a command in the config's folder."""
    return lambda *words: command_server.run(words, config.parent, command_environment)


def test_run_asks_for_a_proof_takes_a_fresh_one_and_refuses_a_stale_one(typed: Command, config: Path) -> None:
    required = ("run", config.name, "--smoke", "--device", "cpu", "--dry-run", "--require-proof")
    code, _, err = typed(*required)
    assert (code, "PROOF114" in err) == (1, True), err

    code, out, err = typed("prove", ".", "--device", "cpu", "-o", "receipt.json")
    assert code == 0, out + err
    assert "total = " in out
    receipt = read_receipt(config.parent / "work_dirs" / "loss-study" / NAME / f"{NAME}.proof.json")
    assert receipt is not None
    assert receipt.verdict == "proved"
    assert json.loads((config.parent / "receipt.json").read_text()) == receipt.as_data()

    code, _, err = typed(*required)
    assert code == 0, err

    config.write_text(config.read_text().replace("loss_weight=0.4", "loss_weight=0.5"))
    code, _, err = typed(*required)
    assert (code, "PROOF115" in err, "changed since in model" in err) == (1, True, True), err


def test_a_config_that_imports_its_classes_is_trained_by_its_proof(typed: Command, config: Path) -> None:
    (config.parent / "lazy.py").write_text(
        "from mmengine.config import read_base\nfrom mmengine.hooks import IterTimerHook\n\n"
        f"with read_base():\n    from .{NAME} import *\n\n"
        "default_hooks.update(timer=dict(type=IterTimerHook))\n"
    )
    code, out, err = typed("prove", "lazy.py", "--device", "cpu")
    assert code == 0, out + err
    assert (config.parent / "work_dirs" / "lazy" / "lazy.proof.json").exists()
    code, _, err = typed("run", "lazy.py", "--smoke", "--device", "cpu", "--dry-run", "--require-proof")
    assert code == 0, err


def test_a_failed_proof_exits_1_with_its_findings_as_one_json_array(typed: Command, config: Path) -> None:
    text = config.read_text() + "\ncustom_hook = [dict(type='EarlyStoppingHook', monitor='val/mIoU')]\n"
    config.write_text(text)
    code, out, _ = typed("prove", config.name, "--device", "cpu", "--output-format", "json")
    assert code == 1
    (finding,) = json.loads(out)
    assert finding["code"].startswith("PROOF")
    assert finding["key"] == "custom_hook"
    assert finding["location"]["row"] == len(text.splitlines())
    code, _, err = typed("run", config.name, "--smoke", "--device", "cpu", "--dry-run", "--require-proof")
    assert (code, "PROOF116" in err) == (1, True), err


def test_a_receipt_that_cannot_be_written_leaves_the_proof_told(typed: Command, config: Path) -> None:
    (config.parent / "file").write_text("")
    code, out, err = typed("prove", config.name, "--device", "cpu", "--work-dir", "file/below")
    assert (code, "total = " in out) == (2, True), out + err
    assert err.splitlines()[-1].startswith(f"error: cannot write file/below/{NAME}.proof.json: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "raised"),
    [(["prove"], "SystemExit('of torch 3')"), (["run", "--dry-run"], "RuntimeError('of torch 3')")],
)
def test_a_fork_of_mmseg_that_cannot_be_imported_is_named_with_its_line(
    config: Path, command_environment: dict[str, str], tmp_path: Path, words: list[str], raised: str
) -> None:
    (tmp_path / "fork" / "mmseg").mkdir(parents=True)
    (tmp_path / "fork" / "mmseg" / "__init__.py").write_text(f"\nraise {raised}\n")
    path = os.pathsep.join((str(tmp_path / "fork"), command_environment["PYTHONPATH"]))
    ran = subprocess.run(
        [sys.executable, "-m", "provecfg", *words, config.name, "--device", "cpu"],
        cwd=config.parent,
        env={**command_environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (1, 2)
    assert ran.stderr.startswith("error: ")
    assert f"of torch 3 (mmseg/__init__.py, line 2: `raise {raised}`)" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.py"], "nowhere.py does not exist"),
        (["empty"], "no config and no study below empty"),
        (["study.yaml"], "study.yaml is a study"),
        ([f"{NAME}.py", "--gpu-memory", "lots"], "lots"),
        ([f"{NAME}.py", "--cfg-options", "nonsense"], "nonsense"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_imported(
    provecfg: Command, config: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(config.parent)
    Path("empty").mkdir()
    Path("study.yaml").write_text("name: x\nmodels: [pspnet_r50]\n")
    code, _, err = provecfg("prove", *words)
    assert code == 2
    assert message in err
