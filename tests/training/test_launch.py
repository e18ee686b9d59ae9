from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.training.launch import torchrun_command
from provecfg.training.options import RunOptions

pytestmark = pytest.mark.stack


def test_options_come_through_as_they_were() -> None:
    options = RunOptions(smoke=True, data_root=Path("d"), gpus=2, cfg_options=("a=1", "b=(1,2)"), command=("run",))
    assert RunOptions.from_json(options.to_json()) == options


def test_on_one_machine_processes_find_each_other_by_themselves() -> None:
    options = RunOptions(gpus=2)
    assert torchrun_command(Path("a.py"), options, {}) == [
        sys.executable,
        "-m",
        "provecfg.training.torchrun",
        "--nproc-per-node=2",
        "--standalone",
        "--module",
        "provecfg.training.worker",
        "a.py",
        options.to_json(),
    ]


def test_on_several_machines_the_environment_says_which_this_is() -> None:
    environment = {"MASTER_ADDR": "10.0.0.1", "NODE_RANK": "1"}
    command = torchrun_command(Path("a.py"), RunOptions(gpus=4, nodes=2), environment)
    assert command[4:8] == ["--nnodes=2", "--node-rank=1", "--master-addr=10.0.0.1", "--master-port=29500"]
    with pytest.raises(ProvecfgError, match="needs NODE_RANK in the environment"):
        torchrun_command(Path("a.py"), RunOptions(nodes=2), {"MASTER_ADDR": "10.0.0.1"})


def test_several_processes_are_launched_and_one_is_not_unless_asked() -> None:
    assert not RunOptions().is_launched
    assert RunOptions(gpus=2).is_launched
    assert RunOptions(launcher="pytorch").is_launched
    assert RunOptions(gpus=4, nodes=2).processes == 8


def test_only_the_first_of_several_machines_has_the_work_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RunOptions(nodes=2).is_first_machine
    monkeypatch.setenv("NODE_RANK", "1")
    assert not RunOptions(nodes=2).is_first_machine
    assert RunOptions().is_first_machine
