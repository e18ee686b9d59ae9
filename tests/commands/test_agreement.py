"""What one command says of a config, every command says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

PSPNET = "pspnet_r50_bdd10k_ce.py"

pytestmark = pytest.mark.filterwarnings("ignore")  # of the stack, while it is imported


@pytest.fixture
def config(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a generated config whose data and weights are elsewhere, in the folder that is stood in."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(project / "generated" / PSPNET, tmp_path / PSPNET))


def with_comment(config: Path, line: str, code: str) -> None:
    text = config.read_text()
    assert line in text
    config.write_text(text.replace(line, f"{line}  # provecfg: ignore[{code}] it is on the cluster"))


@pytest.mark.stack
@pytest.mark.slow  # imports the stack
def test_a_comment_silences_a_finding_of_run_and_is_not_called_unused(provecfg: Command, config: Path) -> None:
    loud = provecfg("run", config, "--dry-run", "--no-pretrained", "--device", "cpu")
    assert "error RUN101" in loud[2]
    with_comment(config, "data_root='{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}',", "RUN101")
    assert provecfg("validate", config, "--strict")[0] == 0
    code, _, err = provecfg("run", config, "--dry-run", "--no-pretrained", "--device", "cpu")
    assert (code, "RUN101" in err, "CFG090" in err) == (0, False, False)


@pytest.mark.stack
@pytest.mark.slow  # imports the stack
def test_settings_silence_what_run_finds(provecfg: Command, config: Path) -> None:
    Path("pyproject.toml").write_text('[tool.provecfg]\nignore = ["RUN1"]\n')
    assert provecfg("run", config, "--dry-run", "--no-pretrained", "--device", "cpu")[0] == 0


@pytest.mark.stack
@pytest.mark.slow  # proves
def test_settings_silence_what_prove_finds(provecfg: Command, tmp_path: Path, config: Path) -> None:
    config.write_text(f"{config.read_text()}\ncustom_hook = [dict(type='EarlyStoppingHook')]\n")
    code, out, _ = provecfg("prove", config, "--device", "cpu", "--work-dir", tmp_path / "loud")
    assert (code, "PROOF" in out) == (1, True)
    Path("pyproject.toml").write_text('[tool.provecfg]\nignore = ["PROOF"]\n')
    code, out, _ = provecfg("prove", config, "--device", "cpu", "--work-dir", tmp_path / "silent")
    assert (code, "PROOF" in out, "FAILED" in out) == (0, False, False)


@pytest.mark.parametrize("command", ["validate", "compare", "run"])
def test_a_path_with_dots_in_it_is_no_base_of_itself(provecfg: Command, config: Path, command: str) -> None:
    config.write_text(config.read_text().replace("ignore_index=255", "ignore_index=255, ignore_idx=255", 1))
    Path("data").mkdir()
    _, out, err = provecfg(command, *[f"data/../{PSPNET}"] * (1 + (command == "compare")))
    assert "inherited by" not in out + err


def test_a_finding_of_compare_is_silenced_by_a_comment(provecfg: Command, config: Path) -> None:
    other = config.with_name("other.py")
    other.write_text(config.read_text().replace("max_iters=80000", "max_iters=70000").replace("512, 512", "256, 256"))
    code, out, _ = provecfg("compare", config, other, "--factor", "schedule")
    assert (code, out.count("PROOF100")) != (0, 0)
    Path("pyproject.toml").write_text('[tool.provecfg]\nignore = ["PROOF10"]\n')
    assert provecfg("compare", config, other, "--factor", "schedule")[0] == 0
