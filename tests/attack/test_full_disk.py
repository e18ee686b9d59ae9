"""Disks that are full, and that cannot be written to: one line, exit code 2, and what was there is as it was."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from tests.results.simulated_study import Effects, study_of, write_study
from tests.training.small_cell import write_small_cell

pytestmark = [
    pytest.mark.root,  # mounts a file system of its own
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

CommandLine = Callable[..., tuple[int, str, str]]
REASONS = {"full": "No space left on device", "read-only": "Read-only file system"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "size=8m")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)


def spoil(disk: Path, how: str) -> None:
    """Fill the disk up to its last byte, or make it read-only."""
    if how == "read-only":
        mount(disk, "remount,ro")
        return
    with open(disk / "filling", "wb", buffering=0) as filling:
        for size in (2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    filling.write(bytes(size))


def commands(folder: Path, disk: Path) -> dict[str, tuple[object, ...]]:
    """A command line of each command that writes, and its output on the disk."""
    study, cell, runs = folder / "study.yaml", folder / "cell.py", folder / "runs"
    study.write_text("name: disk\nmodels: [pspnet_r50]\n")
    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=2, val=1, width=96, height=54), folder / "data")
    write_small_cell(cell, root)
    write_study(runs, study_of(1, 1), Effects())
    return {
        "generate": ("generate", study, "-o", disk / "generated"),
        "validate": ("validate", study, "-o", disk / "findings.txt"),
        "report": ("report", runs, "-o", disk / "report.html"),
        "class-weights": ("class-weights", "--data-root", root, "-o", disk / "weights.yaml"),
        "prove": ("prove", cell, "--device", "cpu", "--work-dir", disk / "work"),
    }


@pytest.mark.parametrize("how", REASONS)
def test_every_command_that_writes_says_so_in_a_line_and_leaves_what_was_there(
    how: str, disk: Path, provecfg: CommandLine, tmp_path: Path
) -> None:
    lines = commands(tmp_path, disk)
    for words in lines.values():
        code, _, err = provecfg(*words)
        assert code in (0, 1), err
    (disk / "generated" / "pspnet_r50_bdd10k_ce.py").unlink()  # else there is nothing to write
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    spoil(disk, how)
    for name, words in lines.items():
        code, _, err = provecfg(*words)
        assert code == 2, (name, code, err)
        assert "Traceback" not in err
        assert err.strip().splitlines()[-1].startswith("error: cannot write "), (name, err)
        assert REASONS[how] in err, (name, err)
    left = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file() and path.name != "filling"}
    assert left == before


def test_a_run_on_a_read_only_disk_is_refused_before_it_trains(
    disk: Path, provecfg: CommandLine, tmp_path: Path
) -> None:
    cell = write_small_cell(tmp_path / "cell.py")
    spoil(disk, "read-only")
    code, _, err = provecfg("run", cell, "--device", "cpu", "--work-dir", disk / "run")
    assert code == 1
    assert f"'{disk / 'run'}' cannot be made or written to" in err
    assert list(disk.iterdir()) == []
