"""The command line on the card, as a user meets it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from mmseg.models import EncoderDecoder

from provecfg.training.record import read_record
from tests.command_server import CommandServer
from tests.gpu.machine import MIB, Machine
from tests.gpu.training_runs import CommandLine, write_configs

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore"),
]

LITTLE = 512 * MIB
"""Less than any model of the catalog trains in."""


@pytest.fixture
def configs(machine: Machine, provecfg: CommandLine, tmp_path: Path) -> list[Path]:
    """Two configs of one model."""
    return write_configs(tmp_path / "configs", machine.work, provecfg, "pspnet_r50", ["none", "focal"])


@pytest.fixture
def in_a_process(
    machine: Machine, command_environment: Mapping[str, str], request: pytest.FixtureRequest, tmp_path: Path
) -> CommandLine:
    """Run the command line in a process of its own: what forks must not have asked CUDA before."""

    def command(*words: object) -> tuple[int, str, str]:
        if machine.is_dry:  # a fresh process takes seconds to import the stack
            server: CommandServer = request.getfixturevalue("command_server")
            return server.run(words, tmp_path, command_environment)
        line = [sys.executable, "-m", "provecfg", *map(str, words)]
        done = subprocess.run(line, cwd=tmp_path, env=command_environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return command


def test_prove_proves_on_the_device(machine: Machine, configs: list[Path], in_a_process: CommandLine) -> None:
    code, out, err = in_a_process("prove", configs[1], "--device", machine.device)
    assert code == 0, out + err
    assert re.search(rf"proved in [\d.]+ s on {machine.device}$", out, re.MULTILINE)


@pytest.mark.gpu
def test_run_in_parallel_takes_the_devices_that_there_are(
    machine: Machine, configs: list[Path], in_a_process: CommandLine, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    words = ("--parallel", "auto", "--device", machine.device, "--no-pretrained", "--work-dir", runs)
    code, out, err = in_a_process("run", *configs, *words)
    assert code == 0, out + err
    for config in configs:
        record = read_record(runs / config.stem)
        assert record is not None
        assert (record.state, record.attempts[-1].device) == ("finished", machine.device)


def test_out_of_memory_is_said_with_what_to_do(
    machine: Machine, configs: list[Path], provecfg: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if machine.is_dry:
        monkeypatch.setattr(EncoderDecoder, "loss", raise_out_of_memory)
    machine.cuda.empty_cache()
    machine.cuda.set_per_process_memory_fraction(LITTLE / machine.memory)
    words = ("run", configs[0], "--no-pretrained", "--device", machine.device, "--work-dir", tmp_path / "run", "-q")
    try:
        code, out, err = provecfg(*words)
    finally:
        machine.cuda.set_per_process_memory_fraction(1.0)
    assert code == 1
    assert out == ""
    assert "Traceback" not in err
    assert "out of GPU memory: CUDA out of memory. Tried to allocate" in err
    assert "hint: lower the batch size or the crop size" in err
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.state == "failed"
    assert record.attempts[-1].message.startswith("out of GPU memory")


def raise_out_of_memory(*args: Any, **kwargs: Any) -> NoReturn:
    """What torch raises where CUDA has no more."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4 GiB.")
