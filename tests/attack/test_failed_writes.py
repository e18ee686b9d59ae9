"""What cannot be written is one line and exit 2, and nothing is left half-written; a closed pipe is silence."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attack.bounds import Ran, measured, run_command
from tests.attack.outcomes import fault_of

CONFIG = "model = dict(type='EncoderDecoder')\n"
STUDY = "name: x\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\n"
RECORD = '{"name": "x", "max_iters": 10, "attempts": [{"state": "finished"}], "config": {"path": "x.py"}}'


def _below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("kept")
    return folder / "file" / "out"


def _below_nothing_that_can_be_made(folder: Path) -> Path:
    return Path("/proc/none/out")  # also for root, whom no permission stops


def _dangling_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "gone" / "out")
    return folder / "link"


def _link_to_itself(folder: Path) -> Path:
    (folder / "link").symlink_to("link")
    return folder / "link"


def _folder(folder: Path) -> Path:
    (folder / "taken").mkdir()
    (folder / "taken" / "kept").write_text("kept")
    return folder / "taken"


def _long_name(folder: Path) -> Path:
    return folder / ("a" * 300)


def _full_disk(folder: Path) -> Path:
    return Path("/dev/full")


def _pipe_that_nobody_reads(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


OUTPUTS = (
    _below_a_file,
    _below_nothing_that_can_be_made,
    _dangling_link,
    _folder,
    _full_disk,
    _link_to_itself,
    _long_name,
    _pipe_that_nobody_reads,
)
WRITING = ("validate config.py --output-format json -o", "report run -o", "report run --format csv -o")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.py").write_text(CONFIG)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "provecfg.json").write_text(RECORD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_refusal(words: list[str], project: Path, run: Callable[..., Ran] = run_command) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    ran = run(*words)
    assert fault_of(ran) is None
    assert ran.code == 2, ran
    assert "error: " in ran.errors.lower()
    assert len([line for line in ran.errors.splitlines() if "rror: " in line]) == 1, ran.errors
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("command", WRITING)
def test_an_output_that_cannot_be_written_is_one_line(
    command: str, output: Callable[[Path], Path], project: Path
) -> None:
    check_refusal([*command.split(), str(output(project))], project)


@pytest.mark.parametrize(
    "output", [_below_a_file, _below_nothing_that_can_be_made, _dangling_link, _full_disk, _link_to_itself, _long_name]
)
def test_configs_that_cannot_be_written_are_one_line(output: Callable[[Path], Path], project: Path) -> None:
    check_refusal(["generate", "study.yaml", "-o", str(output(project))], project)


@pytest.mark.parametrize("output", [_dangling_link, _folder, _link_to_itself, _pipe_that_nobody_reads])
def test_a_config_that_stands_where_none_can_be_written_is_one_line(
    output: Callable[[Path], Path], project: Path
) -> None:
    (project / "out").mkdir()
    output(project).rename(project / "out" / "pspnet_r50_bdd10k_ce.py")
    check_refusal(["generate", "study.yaml", "-o", "out"], project)


@pytest.mark.parametrize("command", ["generate study.yaml -o out", "report run -o", "validate config.py --fix"])
def test_a_write_that_is_cut_off_leaves_the_old_file_and_no_part(command: str, project: Path) -> None:
    def cut_off(*words: str) -> Ran:
        def run() -> Ran:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # the first bytes are written, the next refused
            return run_command(*words)

        outcome = measured(run, project)
        assert outcome.raised == ""
        ran: Ran = outcome.result
        return ran

    words = command.split()
    if words[0] == "generate":
        assert run_command(*words).code == 0
        (project / "study.yaml").write_text(STUDY + "schedule: {max_iters: 6000, val_interval: 500}\n")
    if words[0] == "validate":
        (project / "config.py").write_text(f"model = dict(typ='EncoderDecoder')\n{'# a comment' * 500}\n")
    if words[-1] == "-o":
        (project / "old.html").write_text("kept")
        words.append("old.html")
    check_refusal(words, project, cut_off)


COMMANDS = ("show config.py", "list rules", "validate config.py", "rule --all", "schema", "generate study.yaml --check")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_behind_the_output_is_one_line(command: str, project: Path) -> None:
    with open("/dev/full", "w") as full:
        ran = _provecfg(command, full.fileno())
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), ran.stderr
    assert "No space left on device" in ran.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe_is_silence(command: str, project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = _provecfg(command, writing)
    os.close(writing)
    assert ran.returncode in (0, 1)
    assert "rror" not in ran.stderr


def _provecfg(words: str, output: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provecfg", *words.split()],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
