"""The scripts for a card, run where there is none."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu.conftest import CALLS_FILE
from tests.gpu.figures import FOLDER, read_all
from tests.gpu.page import NOTHING, PAGE

pytestmark = [pytest.mark.stack, pytest.mark.slow]

HERE = Path(__file__).parent
UNSEEN = {"_note_call"}
"""It notes the calls, and its own is not seen by it."""


def functions_of(path: Path) -> dict[tuple[str, int], str]:
    """The functions of a file by its name and their first line, their decorators' where they have some."""
    functions = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            functions[(path.name, first)] = getattr(node, "name", "lambda")
    return functions


def scripts() -> list[Path]:
    """The files whose functions the dry form has to call: the tests marked `gpu`, and what they share."""
    return [
        path
        for path in sorted(HERE.glob("*.py"))
        if not path.name.startswith("test_")
        or "pytest.mark.gpu" in path.read_text(encoding="utf-8").partition("\ndef ")[0]
    ]


def test_the_dry_form_passes_and_calls_every_function(tmp_path: Path, project: Path) -> None:
    page, figures = PAGE.read_bytes(), sorted(FOLDER.glob("*"))
    environment = {
        **os.environ,
        "PROVECFG_GPU_DRY": str(tmp_path),
        "CUDA_VISIBLE_DEVICES": "-1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", str(HERE)]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

    called = {tuple(call) for call in json.loads((tmp_path / CALLS_FILE).read_text())}
    every = {place: name for path in scripts() for place, name in functions_of(path).items()}
    assert len(every) > 60
    assert {place: name for place, name in every.items() if place not in called and name not in UNSEEN} == {}

    (dry,) = read_all(tmp_path / "figures")
    assert set(dry.tables) == {"losses", "models", "attention", "forecast", "largest batch"}
    assert NOTHING not in (tmp_path / PAGE.name).read_text()
    assert (PAGE.read_bytes(), sorted(FOLDER.glob("*"))) == (page, figures)
