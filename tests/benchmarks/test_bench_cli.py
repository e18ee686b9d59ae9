"""What a start of the command may cost, as a share of importing mmengine's reader of configs in the same minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.slow]

ROUNDS = 4
"""The first compiles."""


def processor_seconds(project: Path, bytecode: Path, *command: str) -> float:
    """Of a whole process: other work on the cores makes it longer, too, but all that is compared alike.

    Args:
        project: Where it runs.
        bytecode: Where modules are kept compiled, as those of an installed package are.
        command: Of Python.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    before = os.times()
    subprocess.run([sys.executable, *command], cwd=project, env=environment, check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_help_and_one_file_cost_a_share_of_an_import_of_mmengine(project: Path, tmp_path: Path) -> None:
    commands = {
        "mmengine": ("-c", "import mmengine.config"),
        "help": ("-m", "provecfg", "--help"),
        "one file": ("-m", "provecfg", "validate", "generated/pspnet_r50_bdd10k_focal.py"),
    }
    rounds = [
        {name: processor_seconds(project, tmp_path, *command) for name, command in commands.items()}
        for _ in range(ROUNDS)
    ]
    least = {name: min(seconds[name] for seconds in rounds) for name in commands}
    assert least["help"] < 0.12 * least["mmengine"], least
    assert least["one file"] < 0.9 * least["mmengine"], least
