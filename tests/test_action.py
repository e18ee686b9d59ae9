"""The GitHub Action's step that judges, run as the shell that a runner gives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

BAD = 'default_scope = "mmseg"\nmodel = dict(type="EncoderDecoder", decode_head=dict(type="FCNHead", num_clases=4))\n'


@pytest.fixture(scope="module")
def action(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((project / "action.yml").read_text())
    return loaded


def judged(action: dict[str, Any], project: Path, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The last step, run with inputs, those not given as the action has them."""
    (step,) = [step for step in action["runs"]["steps"] if step["name"] == "Judge"]
    values = {name: inputs.get(name, described["default"]) for name, described in action["inputs"].items()}
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    command = binaries / "provecfg"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m provecfg "$@"\n')
    command.chmod(0o755)
    environment = {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        **{name: values[name.lower()] for name in step["env"]},
    }
    called = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]  # as a runner calls it
    return subprocess.run(called, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_a_bad_config_fails_the_step_and_is_shown_in_its_line(
    action: dict[str, Any], project: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    ran = judged(action, project, tmp_path, targets="bad.py", sarif="found.sarif")
    assert ran.returncode == 1, ran.stderr
    assert "file=bad.py,line=2," in ran.stdout
    (run,) = json.loads((tmp_path / "found.sarif").read_text())["runs"]
    assert "REG002" in {result["ruleId"] for result in run["results"]}


def test_codes_are_chosen_and_a_missing_target_is_said(action: dict[str, Any], project: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    assert judged(action, project, tmp_path, targets="bad.py", select="LOSS,STOP").returncode == 0
    ignored = judged(action, project, tmp_path, targets="bad.py", ignore="REG002")
    assert "REG002" not in ignored.stdout
    gone = judged(action, project, tmp_path, targets="bad.py gone.py")
    assert gone.returncode == 2
    assert "gone.py does not exist" in gone.stderr


def test_every_input_reaches_the_step_that_uses_it_through_its_environment(action: dict[str, Any]) -> None:
    steps = action["runs"]["steps"]
    reached = {value for step in steps for value in step["env"].values()}
    assert reached == {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    # an input that stood in the script itself would be run as shell
    assert not any("${{" in step["run"] for step in steps)


@pytest.mark.parametrize(("version", "installed"), [("", "/action"), ("provecfg==0.1.0", "provecfg==0.1.0")])
def test_the_actions_own_code_is_installed_where_no_version_is_given(
    action: dict[str, Any], tmp_path: Path, version: str, installed: str
) -> None:
    (step,) = [step for step in action["runs"]["steps"] if step["name"] == "Install"]
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "VERSION": version, "GITHUB_ACTION_PATH": "/action"}
    called = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(called, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-m", "pip", "install", "--quiet", installed]
