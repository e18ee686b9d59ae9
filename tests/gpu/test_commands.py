"""The command line on the card, as a user meets it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from mmseg.models import EncoderDecoder

from provecfg.training.record import read_record
from tests.gpu.configs import CommandLine, write_configs
from tests.gpu.machine import DRY, Machine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.stack,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore"),
]

LITTLE = 512 * 2**20
"""Bytes: less than any model of the catalog trains in."""


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, as from a shell: what forks must not have asked CUDA before."""
    return subprocess.run(
        [sys.executable, "-m", "provecfg", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def configs(machine: Machine, provecfg: CommandLine, tmp_path: Path) -> list[Path]:
    """Two configs of one model."""
    return write_configs(
        tmp_path / "configs", machine.work, provecfg, amp=False, models=DRY.models, auxiliary_losses=["none", "focal"]
    )


def test_prove_proves_on_the_device(machine: Machine, configs: list[Path], tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    done = in_a_process("prove", configs[1], "--device", machine.device, "--work-dir", tmp_path / "run", "-o", receipt)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"proved in [\d.]+ s on {machine.device}$", done.stdout, re.MULTILINE)
    assert devices_in(json.loads(receipt.read_text())) == {machine.device}


def devices_in(receipts: Any) -> set[str]:
    """The devices that receipts name."""
    if isinstance(receipts, dict):
        own = {receipts["device"]} if isinstance(receipts.get("device"), str) else set()
        return own.union(*(devices_in(value) for value in receipts.values()))
    if isinstance(receipts, list):
        return set().union(*(devices_in(value) for value in receipts))
    return set()


def test_run_in_parallel_takes_the_devices_that_there_are(
    machine: Machine, configs: list[Path], tmp_path: Path
) -> None:
    if "--parallel" not in in_a_process("run", "--help").stdout:
        pytest.skip("`provecfg run` has no --parallel yet")
    done = in_a_process(
        "run",
        *configs,
        "--parallel",
        "auto",
        "--device",
        machine.device,
        "--no-pretrained",
        "--work-dir",
        tmp_path / "runs",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for config in configs:
        record = read_record(tmp_path / "runs" / config.stem)
        assert record is not None
        assert (record.state, record.attempts[-1].device) == ("finished", machine.device)


def test_out_of_memory_is_said_with_what_to_do(
    machine: Machine, configs: list[Path], provecfg: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if machine.is_dry:
        monkeypatch.setattr(EncoderDecoder, "loss", raise_out_of_memory)
    machine.cuda.empty_cache()
    machine.cuda.set_per_process_memory_fraction(LITTLE / machine.memory)
    try:
        code, out, said = provecfg(
            "run", configs[0], "--no-pretrained", "--device", machine.device, "--work-dir", tmp_path / "run", "-q"
        )
    finally:
        machine.cuda.set_per_process_memory_fraction(1.0)
    assert code == 1
    assert out == ""
    assert "Traceback" not in said
    assert "out of GPU memory: CUDA out of memory. Tried to allocate" in said
    assert "hint: lower the batch size or the crop size" in said
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.state == "failed"
    assert record.attempts[-1].message.startswith("out of GPU memory")


def raise_out_of_memory(*args: Any, **kwargs: Any) -> NoReturn:
    """What torch raises where CUDA has no more."""
    raise torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 4.00 GiB of which 1.00 GiB is "
        "free.\nIncluding non-PyTorch memory, this process has 3.00 GiB memory in use."
    )
