from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from provecfg.cli import COMMANDS
from provecfg.commands.list import LISTS, Row, as_table

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


def test_what_needs_a_package_of_the_extra_names_both(project: Path, tmp_path: Path) -> None:
    config = str(project / "generated" / "pspnet_r50_bdd10k_ce.py")
    commands = (
        ["prove", config],
        ["run", config],
        ["eval", config],
        ["report", str(tmp_path)],
        ["plan", "loss-study", "--detect", "1", "--seed-sd", "1"],
        ["init", str(tmp_path)],
        ["class-weights", "--data-root", str(tmp_path)],
    )
    program = (
        f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
        f"from provecfg.cli import run\nprint([int(run(command)) for command in {commands!r}])\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{[2] * len(commands)}\n"), done.stderr
    assert done.stderr.count("pip install 'provecfg[train]'") == len(commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_module_and_its_help(provecfg: Command, command: str) -> None:
    code, stdout, err = provecfg(command, "--help")
    assert code == 0, err
    assert stdout.startswith(f"Usage: provecfg {command}")
    assert max(map(len, stdout.splitlines())) <= 80


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


@pytest.mark.parametrize(("code", "hint"), [("LOS001", "did you mean LOSS001?"), ("FOO", "provecfg list rules")])
def test_an_unknown_code_is_answered_in_a_line(provecfg: Command, code: str, hint: str) -> None:
    status, out, err = provecfg("rule", code)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: unknown code {code!r}\n  hint: {hint}")


def test_a_table_fits_the_terminal_that_it_is_shown_in() -> None:
    rows = [
        {"name": "short", "title": "some words that are more than fit", "n": None},
        {"name": "x", "title": "y", "n": 1},
    ]
    assert as_table(rows, 28).splitlines() == [
        "name   title               n",
        "short  some words that     -",
        "       are more than fit",
        "x      y                   1",
    ]
    assert len(as_table(rows).splitlines()) == 3
    assert as_table(rows, 14).splitlines()[-1] == "Not shown: n (--output-format json)"


@pytest.mark.parametrize("rows", LISTS.values(), ids=LISTS)
def test_every_list_fits_eighty_columns(rows: Callable[[], list[Row]]) -> None:
    assert max(map(len, as_table(rows(), 80).splitlines())) <= 80


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


def run_in_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = command.replace("provecfg", f"{sys.executable} -m provecfg")
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", ["schema", "list rules", "show config.py"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "config.py").write_text("x = ['a long text'] * 9000\n")
    assert run_in_shell(f"provecfg {arguments} | head -c 1", tmp_path).stderr == ""
    assert run_in_shell(f"provecfg {arguments} >&-", tmp_path).stderr == ""


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("list rules > /dev/full", "cannot write the output: No space left on device"),
        ("show config.py > /dev/full", "cannot write the output: No space left on device"),
        ("validate config.py -o /dev/full", "cannot write /dev/full: No space left on device"),
        ("validate config.py -o link", "cannot write link: it is a link to"),
        ("validate config.py -o config.py/report", "cannot write config.py/report: config.py is not a folder"),
        ("generate --all -o link", "cannot write link/"),
        ("generate --all -o full", "File too large"),
        ("generate --all -o pipes", "pspnet_r50_bdd10k_ce.py, which would be replaced: it is a pipe"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line_and_exit_code_2(
    tmp_path: Path, command: str, reason: str
) -> None:
    (tmp_path / "config.py").write_text("x = 1\n")
    (tmp_path / "link").symlink_to("gone/gone")
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "pspnet_r50_bdd10k_ce.py")
    limit = "ulimit -f 1; " if "full" in command and "/dev" not in command else ""  # in blocks of 1024 bytes
    done = run_in_shell(f"{limit}provecfg {command}", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert reason in done.stderr


def test_an_error_of_the_system_that_nothing_foresaw_is_named(
    provecfg: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "/mnt/gone")

    monkeypatch.setattr("provecfg.commands.list.as_table", fail)
    assert provecfg("list", "models") == (2, "", "error: /mnt/gone: Input/output error\n")
    monkeypatch.setenv("PROVECFG_FULL_ERROR", "1")
    assert "Traceback" in provecfg("list", "models")[2]


def test_nowhere_to_write_an_error_leaves_the_exit_code(tmp_path: Path) -> None:
    for command in ("generate gone.yaml", "nonsense", "list rules > /dev/full"):
        assert run_in_shell(f"provecfg {command} 2> /dev/full", tmp_path).returncode == 2


@pytest.mark.parametrize(("command", "done"), [("show", "printed"), ("run", "trained"), ("prove", "proved")])
def test_a_study_is_no_config(provecfg: Command, tmp_path: Path, command: str, done: str) -> None:
    study = tmp_path / "mine.yaml"
    study.write_text("name: mine\nmodels: [pspnet_r50]\n")
    code, out, err = provecfg(command, study)
    assert (code, out) == (2, "")
    assert err.startswith(
        f"error: {study} is a study, and configs are {done}\n  hint: provecfg generate {study}, then "
    )


HOSTILE = "\x1b[31mred\x1b[0m\x07\x9b2J\u202egnol\r\x00"
"""What a terminal would obey: colours, a bell, clearing the screen, turning the direction of text, overwriting."""
NAME = HOSTILE.replace("\x00", "").replace("\x9b", "")  # a file's name; the byte alone is not UTF-8


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("--" + HOSTILE,),
        ("list", HOSTILE),
        ("show", NAME),
        ("show", f"{NAME}.yaml"),
        ("show", f"{NAME}.yaml", "--output-format", "json"),
        ("show", f"{NAME}.yaml", "--output-format", "yaml"),
        ("validate", NAME),
        ("validate", f"{NAME}.yaml"),
        ("validate", f"{NAME}.yaml", "--cfg-options", f"{HOSTILE}.x=1"),
        ("validate", f"study{NAME}.yaml"),
        ("validate", "hostile.py", "--color", "always"),
        ("validate", "hostile.py", "--output-format", "github"),
        ("validate", "hostile.py", "--output-format", "junit"),
        ("show", "hostile.py"),
        ("compare", f"{NAME}.yaml", "hostile.py"),
        ("compare", "hostile.py", "other.py"),
        ("generate", f"study{NAME}.yaml", "--check"),
        ("generate", "--all", "--set", HOSTILE),
        ("generate", "--model", HOSTILE),
        ("generate", "--all", "-o", NAME, "--check"),
        ("generate", "--all", "-o", NAME, "-v"),
        ("rule", HOSTILE),
        ("replay", NAME),
        ("class-weights", "--data-root", NAME),
    ],
)
def test_control_characters_never_reach_the_terminal(
    provecfg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    mapping = {HOSTILE: {HOSTILE: HOSTILE}, "model": {"type": HOSTILE, HOSTILE: [HOSTILE]}}
    (tmp_path / f"{NAME}.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
    study = {"name": HOSTILE, "models": [HOSTILE], HOSTILE: 1, "losses": {"auxiliary": [{"type": HOSTILE}]}}
    (tmp_path / f"study{NAME}.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    escaped = repr(HOSTILE)
    raw = HOSTILE.replace("\x00", "").replace("\r", "")
    text = f"model = {{'type': {escaped}, {escaped}: 1}}  # {raw}\nvisualizer = dict(type='{raw}')\n"
    (tmp_path / "hostile.py").write_text(text, encoding="utf-8")
    (tmp_path / "other.py").write_text("model = dict(type='EncoderDecoder')\n", encoding="utf-8")
    code, out, err = provecfg(*arguments)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out + err) if "always" in arguments else out + err
    assert not [character for character in text if character != "\n" and not character.isprintable()]
    assert "red" in text or code == 0, text


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_follows_a_signal_at_once_ends_no_tidying_up(
    provecfg: Command, monkeypatch: pytest.MonkeyPatch, first: signal.Signals
) -> None:
    ended = []

    def schema_with_something_to_tidy_up() -> None:
        try:
            os.kill(os.getpid(), first)
            ended.append("not interrupted")
        finally:
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), signum)
            ended.append("tidied up")

    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    monkeypatch.setattr("provecfg.study.json_schema.study_schema", schema_with_something_to_tidy_up)
    code, out, err = provecfg("schema")
    assert (code, out, err.strip()) == (130, "", "interrupted")
    assert ended == ["tidied up"]
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers


def test_a_signal_some_time_after_the_first_ends_what_hangs() -> None:
    lines = """
import os, signal, time
from provecfg import cli
from provecfg.study import json_schema

def schema():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        cli._ECHO_SECONDS = 0.0
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

json_schema.study_schema = schema
cli.main(["schema"])
"""
    ran = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=50, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")
