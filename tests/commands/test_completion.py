from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from provecfg.catalog.models import MODELS
from provecfg.catalog.studies import STUDIES
from provecfg.codes import problems


def completed(words: str, position: int) -> list[str]:
    """What click answers a shell that asks for the word at a position."""
    environment = {
        **os.environ,
        "_PROVECFG_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(position),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    called = [sys.executable, "-c", "from provecfg.cli import main; main()"]
    out = subprocess.run(called, env=environment, capture_output=True, text=True, check=True).stdout
    return [line.partition(",")[2] for line in out.split()]


@pytest.mark.parametrize(
    ("words", "position", "expected"),
    [
        ("provecfg gen", 1, ["generate"]),
        ("provecfg generate --model ", 3, list(MODELS)),
        ("provecfg generate --aux-loss lo", 3, ["lovasz"]),
        ("provecfg validate produ", 2, ["production"]),
        ("provecfg validate ", 2, [*STUDIES, ""]),
        ("provecfg prove gener", 2, ["gener"]),
        ("provecfg rule LOSS00", 2, [code for code in problems() if code.startswith("LOSS00")]),
    ],
)
def test_a_shell_is_told_the_names_that_can_stand_there(words: str, position: int, expected: list[str]) -> None:
    assert completed(words, position) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_lines_are_of_the_shell_that_reads_them(provecfg, tmp_path: Path, shell: str) -> None:  # type: ignore[no-untyped-def]
    code, out, err = provecfg("completion", shell)
    assert (code, err) == (0, "")
    assert "_PROVECFG_COMPLETE" in out
    if shutil.which(shell) is not None:
        script = tmp_path / "lines"
        script.write_text(out)
        subprocess.run([shell, "-n", str(script)], check=True)
