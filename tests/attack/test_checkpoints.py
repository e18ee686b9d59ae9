"""Files in a work dir that somebody else wrote: checkpoints that run code, and files of ours with anything in them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from provecfg.training.record import FILENAME
from tests.attack.malicious_checkpoints import MALICIOUS
from tests.training.run_process import RunProcess
from tests.training.small_cell import write_small_cell

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CommandLine = Callable[..., tuple[int, str, str]]
WRONG: tuple[object, ...] = (None, True, -3, 10**30, 0.5, "\x1b[31mx", [], [[1]], {}, {"a": {"b": None}})
"""Values that stand in the place of others."""


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cell that has trained to its end, in `run` beside it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cell")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVECFG_HOME", str(tmp_path_factory.getbasetemp() / "provecfg-home"))
        config = write_small_cell(folder / "cell.py", max_iters=6, val_interval=2, checkpoint_interval=2)
    process = RunProcess(config, folder / "run")
    assert process.ended() == 0, process.text
    return config


@pytest.fixture
def work_dir(cell: Path, tmp_path: Path) -> Path:
    """A copy of its work dir."""
    return Path(shutil.copytree(cell.parent / "run", tmp_path / "run"))


def assert_civil(code: int, out: str, err: str) -> None:
    """One of our exit codes, no traceback, and nothing that a terminal would obey."""
    assert code in (0, 1, 2), (code, err)
    text = out + err
    assert "Traceback" not in text, text
    controls = {character for character in text if unicodedata.category(character) in ("Cc", "Cs")} - {"\n", "\t"}
    assert not controls, (controls, text)


def test_the_canaries_sing(tmp_path: Path) -> None:
    """Loaded without care, the payloads do what they say; two would need another reader."""
    for name, make in MALICIOUS.items():
        canary, file = tmp_path / f"canary {name}", tmp_path / "file.pth"
        file.write_bytes(make(canary))
        with contextlib.suppress(Exception):  # it was loaded, and was not what torch expected
            torch.load(file, map_location="cpu", weights_only=False)
        assert canary.exists() == (name not in ("of a config as text", "as an exported program")), name


@pytest.mark.parametrize("name", MALICIOUS)
def test_a_checkpoint_that_runs_code_is_refused_and_nothing_of_it_runs(
    name: str, cell: Path, work_dir: Path, provecfg: CommandLine, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    for path in work_dir.glob("*.pth*"):
        path.unlink()
    last = work_dir / "iter_2.pth"
    last.write_bytes(MALICIOUS[name](canary))
    (work_dir / "last_checkpoint").write_text(str(last))
    record = json.loads((work_dir / FILENAME).read_text())
    record["attempts"][0] |= {"state": "interrupted", "last_iter": 2}
    (work_dir / FILENAME).write_text(json.dumps(record))
    resumed = provecfg("run", cell, "--device", "cpu", "--work-dir", work_dir)
    assert resumed[0] == 1, resumed
    assert_civil(*resumed)
    loaded = provecfg(
        "run", cell, "--device", "cpu", "--dry-run", "--work-dir", tmp_path / "new", f"--cfg-options=load_from={last}"
    )
    assert loaded[0] == (0 if name == "of a config as text" else 1), loaded  # mmengine reads that only to go on
    assert_civil(*loaded)
    reported = provecfg("report", work_dir, "-o", tmp_path / "report.md")
    assert_civil(*reported)
    assert not canary.exists()


def every_place(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each value of plain data."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from every_place(item, (*path, key))


def with_value(data: Any, path: tuple[Any, ...], value: object) -> Any:
    """A copy with another value at a place."""
    copy = json.loads(json.dumps(data))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def test_a_record_with_anything_in_it_is_named_by_report_and_by_run(
    cell: Path, work_dir: Path, provecfg: CommandLine, tmp_path: Path
) -> None:
    file = work_dir / FILENAME
    record = json.loads(file.read_text())
    places = list(every_place(record))
    assert len(places) > 40
    for number, place in enumerate(places):
        wrong = WRONG[number % len(WRONG)]
        file.write_text(json.dumps(with_value(record, place, wrong)))
        assert_civil(*provecfg("report", work_dir, "-o", tmp_path / "report.json"))
        if number % 4 == 0:
            assert_civil(*provecfg("run", cell, "--device", "cpu", "--dry-run", "--work-dir", work_dir))


@pytest.mark.parametrize("name", ["last_checkpoint", "lease.1", "heartbeat", "iter_4.pth.sha256", FILENAME])
def test_anything_in_the_place_of_a_file_of_ours_is_said_or_passed_over(
    name: str, cell: Path, work_dir: Path, provecfg: CommandLine, tmp_path: Path
) -> None:
    def put_folder(path: Path) -> None:
        path.mkdir()

    def put_endless(path: Path) -> None:
        path.symlink_to("/dev/zero")

    def put_gigabytes(path: Path) -> None:
        with open(path, "wb") as stream:
            stream.truncate(4 << 30)

    def put(data: bytes) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(data)

    puts = [put(data) for data in (b"", b"\0\xff\xfe", b"\x1b[2J/etc/passwd", b"[" * 100_000, b"x" * 100_000)]
    for make in [*puts, put_folder, os.mkfifo, put_endless, put_gigabytes]:
        path = work_dir / name
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        make(path)
        assert_civil(*provecfg("run", cell, "--device", "cpu", "--dry-run", "--work-dir", work_dir))
        assert_civil(*provecfg("report", work_dir, "-o", tmp_path / "report.json"))


def test_a_receipt_with_anything_in_it_is_named(cell: Path, provecfg: CommandLine, tmp_path: Path) -> None:

    receipt = {
        "format": 1,
        "name": "cell",
        "config": str(cell),
        "verdict": "proved",
        "digests": {"model": "0"},
        "code": {"provecfg.plugin": "0"},
        "versions": {"torch": "0"},
        "device": "cpu",
        "made": "2025-01-01T00:00:00+00:00",
        "seconds": 1.0,
        "sections": [{"name": "declared", "proved": True}],
        "findings": [],
    }
    work_dir = tmp_path / "run"
    work_dir.mkdir()
    words = ("run", cell, "--device", "cpu", "--dry-run", "--require-proof", "--work-dir", work_dir)
    for number, place in enumerate(every_place(receipt)):
        (work_dir / "cell.proof.json").write_text(json.dumps(with_value(receipt, place, WRONG[number % len(WRONG)])))
        assert_civil(*provecfg(*words))
