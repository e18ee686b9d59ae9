from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.cli import COMMANDS

Command = Callable[..., tuple[int, str, str]]

HEAVY = ("cv2", "matplotlib", "mmcv", "mmdet", "mmengine", "mmseg", "numpy", "PIL", "rich", "scipy", "torch")


def test_generate_and_validate_need_no_heavy_package(project: Path, tmp_path: Path) -> None:
    blocked = f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
    program = (
        blocked + "from provecfg.cli import run\n"
        f"assert run(['generate', '--all', '-q', '-o', {str(tmp_path)!r}]) == 0\n"
        f"assert run(['validate', {str(tmp_path)!r}]) == 0\n"
        "assert run(['list', 'rules', '-q']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_module_and_its_help(provecfg: Command, command: str) -> None:
    code, stdout, err = provecfg(command, "--help")
    assert code == 0, err
    assert stdout.startswith(f"Usage: provecfg {command}")


def test_the_help_lists_every_command(provecfg: Command) -> None:
    code, stdout, _ = provecfg("--help")
    assert code == 0
    for command, line in COMMANDS.items():
        assert command in stdout
        assert line.split(":")[0] in stdout


def test_an_unknown_command_is_answered_with_the_nearest(provecfg: Command) -> None:
    code, _, err = provecfg("genrate")
    assert code == 2
    assert "did you mean 'generate'?" in err


def test_a_traceback_is_shown_only_when_asked_for(provecfg: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" not in provecfg("generate", "nowhere.yaml")[2]
    monkeypatch.setenv("PROVECFG_FULL_ERROR", "1")
    assert "Traceback" in provecfg("generate", "nowhere.yaml")[2]


@pytest.mark.parametrize("what", ["models", "datasets", "losses", "strategies", "studies", "rules"])
def test_lists_are_tables_and_json(provecfg: Command, what: str) -> None:
    code, text, _ = provecfg("list", what)
    assert code == 0
    rows = json.loads(provecfg("list", what, "--output-format", "json")[1])
    assert len(rows) == len(text.splitlines()) - 1 >= 1


def test_a_reader_that_goes_away_is_no_error(project: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m provecfg schema | head -c 1",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
