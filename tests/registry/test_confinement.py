"""What a process may no longer do once it is confined: a process a case, since there is no way back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_CONFINED = """
import os, pathlib, shutil, socket, subprocess, sys
from provecfg.registry.confinement import confine
scratch, elsewhere = map(pathlib.Path, sys.argv[1:])
confine(scratch)
"""


def run(scratch: Path, elsewhere: Path, line: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", _CONFINED + line, scratch, elsewhere]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=elsewhere.parent)


@pytest.mark.parametrize(
    "line",
    [
        "(elsewhere / 'new').write_text('')",
        "os.open(elsewhere / 'new', os.O_CREAT | os.O_WRONLY)",
        "(elsewhere / 'kept').open('r+')",
        "(elsewhere / 'kept').unlink()",
        "(elsewhere / 'kept').rename(scratch / 'taken')",
        "(scratch / 'link').symlink_to(elsewhere); (scratch / 'link' / 'new').write_text('')",
        "(elsewhere / 'folder').mkdir()",
        "shutil.rmtree(elsewhere)",
        "os.open('new', os.O_CREAT | os.O_WRONLY, dir_fd=os.open(elsewhere, os.O_RDONLY))",
        "os.unlink('kept', dir_fd=os.open(elsewhere, os.O_RDONLY))",
        "os.rename(scratch / 'taken', elsewhere / 'kept')",
        "socket.create_connection(('127.0.0.1', 9))",
        "subprocess.run(['true'])",
        "os.system('true')",
    ],
)
def test_a_confined_process_leaves_all_else_as_it_was(tmp_path: Path, line: str) -> None:
    scratch, elsewhere = tmp_path / "scratch", tmp_path / "elsewhere"
    for folder in (scratch, elsewhere):
        folder.mkdir()
    (elsewhere / "kept").write_text("kept")
    done = run(scratch, elsewhere, line)
    assert "PermissionError" in done.stderr
    assert [(file.name, file.read_text()) for file in elsewhere.iterdir()] == [("kept", "kept")]


def test_a_confined_process_reads_everything_and_writes_into_its_folder(tmp_path: Path) -> None:
    scratch, elsewhere = tmp_path / "scratch", tmp_path / "elsewhere"
    for folder in (scratch, elsewhere):
        folder.mkdir()
    (elsewhere / "kept").write_text("kept")
    line = """
folder = pathlib.Path.home() / 'folder'
(folder / 'inner').mkdir(parents=True)
shutil.rmtree(folder)
pathlib.Path.home().joinpath('.cache').write_text((elsewhere / 'kept').read_text())
open(os.devnull, 'w').close()
"""
    done = run(scratch, elsewhere, line)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(file.name, file.read_text()) for file in scratch.iterdir()] == [(".cache", "kept")]
