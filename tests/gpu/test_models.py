"""Every model with every loss on the card, as a user trains it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from provecfg.plugin import mmcv_ops
from provecfg.plugin.mmcv_ops import has_compiled_ops
from provecfg.training.record import read_record
from tests.gpu.configs import CommandLine, write_configs
from tests.gpu.deformable_attention import Attention, attention_inputs
from tests.gpu.figures import Figures
from tests.gpu.machine import DRY, REAL, Machine
from tests.gpu.training_runs import interrupted_run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.stack,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.parametrize("amp", [False, True], ids=["full precision", "AMP"])
@pytest.mark.parametrize("model", REAL.models)
def test_a_model_trains_with_every_loss_is_interrupted_and_goes_on(
    model: str, amp: bool, machine: Machine, figures: Figures, provecfg: CommandLine, tmp_path: Path
) -> None:
    if model not in machine.work.models or amp not in machine.work.amp:
        pytest.skip("not in the dry form")
    configs = write_configs(tmp_path / "configs", machine.work, provecfg, amp=amp, models=[model])
    assert len(configs) == len(machine.work.auxiliary_losses)
    for config in configs:
        work_dir = tmp_path / config.stem
        stop = machine.work.iterations - 1
        with machine.watching_memory() as use:
            outcome, seconds = interrupted_run(config, work_dir, machine.device, stop)
        assert (outcome.state, outcome.iteration) == ("interrupted", stop), outcome.message
        code, _, said = provecfg(
            "run", config, "--no-pretrained", "--device", machine.device, "--work-dir", work_dir, "-q"
        )
        assert code == 0, said
        assert_finished(work_dir, machine, stop)
        shutil.rmtree(work_dir)  # the checkpoints of all runs together would be some 100 GB
        figures.add(
            "models",
            config=config.stem,
            amp=amp,
            crop=list(machine.work.crop),
            batch=2,
            iterations=machine.work.iterations,
            seconds_an_iteration=seconds,
            allocated=use.allocated,
            reserved=use.reserved,
        )


def assert_finished(work_dir: Path, machine: Machine, stop: int) -> None:
    """The run went on where it was interrupted, validated, wrote a checkpoint that loads, and had finite losses."""
    record = read_record(work_dir)
    assert record is not None
    assert [(attempt.state, attempt.first_iter, attempt.device) for attempt in record.attempts] == [
        ("interrupted", 0, machine.device),
        ("finished", stop, machine.device),
    ]
    checkpoint = torch.load(work_dir / f"iter_{machine.work.iterations}.pth", map_location="cpu", weights_only=True)
    assert checkpoint["meta"]["iter"] == machine.work.iterations
    assert all(bool(tensor.isfinite().all()) for tensor in checkpoint["state_dict"].values())
    assert record.best is not None
    assert 0 <= record.best["value"] <= 100
    lines = [json.loads(line) for file in work_dir.glob("*/vis_data/scalars.json") for line in file.open()]
    losses = [value for line in lines for key, value in line.items() if "loss" in key]
    assert losses
    assert all(math.isfinite(value) for value in losses)


def test_deformable_attention_of_the_stand_in_and_of_compiled_operators(machine: Machine, figures: Figures) -> None:
    """mmcv's compiled operator only where it is installed; else the stand-in alone, and the table says so."""
    operators = {"stand-in": (mmcv_ops._ms_deform_attn_forward, mmcv_ops._ms_deform_attn_backward)}
    if has_compiled_ops():
        from mmcv import _ext

        operators["compiled"] = (_ext.ms_deform_attn_forward, _ext.ms_deform_attn_backward)
    inputs = attention_inputs(machine.work.attention, machine.device)
    steps = {name: Attention(*functions, inputs).step for name, functions in operators.items()}
    results = {name: step() for name, step in steps.items()}
    for result in results.values():
        for found, wanted in zip(result, results["stand-in"], strict=True):
            assert float((found - wanted).norm()) <= 1e-4 * float(wanted.norm())
    for name, timing in machine.times(steps).items():
        figures.add(
            "attention",
            operator=name,
            size=list(machine.work.attention),
            device_ms=timing.device_ms,
            peak_bytes=machine.peak_bytes(steps[name]),
        )


def test_two_processes_train_one_model(machine: Machine, provecfg: CommandLine, tmp_path: Path) -> None:
    """By NCCL on two cards; in the dry form by gloo."""
    if machine.cuda.device_count() < 2:
        pytest.skip(f"needs two GPUs: there is {machine.cuda.device_count()}")
    (config,) = write_configs(
        tmp_path / "configs", machine.work, provecfg, amp=False, models=DRY.models, auxiliary_losses=["focal"]
    )
    arguments = ["--no-pretrained", "--device", machine.device, "--gpus", 2, "-q"]
    code, _, said = provecfg("run", config, "--work-dir", tmp_path / "run", *arguments)
    assert code == 0, said
    record = read_record(tmp_path / "run")
    assert record is not None
    assert (record.state, record.attempts[-1].processes, record.attempts[-1].device) == ("finished", 2, machine.device)
    assert record.best is not None
