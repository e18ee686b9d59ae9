"""A forked command is to a test what a process of `provecfg` is."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_server import CommandServer

pytestmark = [pytest.mark.stack, pytest.mark.slow]  # the server imports the stack


@pytest.mark.parametrize(
    "words", [["validate", "config.py"], ["show", "config.py"], ["show", "absent.py"], ["no-such-command"]]
)
def test_it_says_and_returns_what_a_fresh_process_does(
    command_server: CommandServer, command_environment: dict[str, str], tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "config.py").write_text("model = dict(type='EncoderDecoder', backbone=dict(type='ResNett'))\n")
    environment = {**command_environment, "PROVECFG_OUTPUT_FORMAT": "json"}
    fresh = subprocess.run(
        [sys.executable, "-m", "provecfg", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    forked = command_server.run(words, tmp_path, environment)
    assert forked == (fresh.returncode, fresh.stdout, fresh.stderr)


def test_a_signal_ends_it_and_not_the_server(
    command_server: CommandServer, command_environment: dict[str, str], tmp_path: Path
) -> None:
    command = command_server.start(["schema"], tmp_path, command_environment)
    command.send_signal(signal.SIGKILL)
    assert command.finished()[0] == -signal.SIGKILL
    code, out, _ = command_server.run(["--version"], tmp_path, command_environment)
    assert code == 0
    assert out.startswith("provecfg")
