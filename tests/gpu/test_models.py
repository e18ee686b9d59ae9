"""Every model with every loss of the loss study on the card, as a user trains it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import mmcv.ops.multi_scale_deform_attn as deformable
import pytest
import torch
from torch import Tensor

from provecfg.plugin import mmcv_ops
from provecfg.training.record import read_record
from tests.gpu.figures import Figures, Row
from tests.gpu.machine import MIB, Machine
from tests.gpu.training_runs import CommandLine, interrupt_run, write_configs

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore"),
]

TRAINED = "Training, interrupted once and gone on with, then validated and a checkpoint written:"
ATTENTION = "Mask2Former's deformable attention on two images, forward and backward, and mmcv's operator where it is:"


def test_a_model_trains_with_every_loss_is_interrupted_and_goes_on(
    model: str, amp: bool, machine: Machine, figures: Figures, provecfg: CommandLine, tmp_path: Path
) -> None:
    work = machine.work
    for config in write_configs(tmp_path / "configs", work, provecfg, model, work.losses, amp=amp):
        work_dir = tmp_path / config.stem
        with machine.watching_memory() as use:
            interrupt_run(config, work_dir, machine.device, work.iterations - 1)
        words = ("run", config, "--no-pretrained", "--device", machine.device, "--work-dir", work_dir, "-q")
        code, _, err = provecfg(*words)
        assert code == 0, err
        seconds = seconds_of_finished_run(work_dir, machine)
        row: Row = {
            "config": config.stem,
            "AMP": amp,
            "crop": "x".join(map(str, work.crop)),
            "batch": 2,
            "s an iteration": f"{seconds:.3f}",
            "allocated, MiB": use.allocated // MIB,
            "reserved, MiB": use.reserved // MIB,
        }
        figures.add(TRAINED, row)
        shutil.rmtree(work_dir)  # the checkpoints of all runs together would be some 100 GB


def seconds_of_finished_run(work_dir: Path, machine: Machine) -> float:
    """Check that it went on where it was interrupted, validated, has finite losses and a checkpoint that loads.

    Returns:
        The median seconds of an iteration in the later half of the part before the interruption.
    """
    last = machine.work.iterations
    record = read_record(work_dir)
    assert record is not None
    assert [(attempt.state, attempt.first_iter, attempt.device) for attempt in record.attempts] == [
        ("interrupted", 0, machine.device),
        ("finished", last - 1, machine.device),
    ]
    assert record.best is not None
    assert 0 <= record.best["value"] <= 100
    checkpoint = torch.load(work_dir / f"iter_{last}.pth", map_location="cpu", weights_only=True)
    assert checkpoint["meta"]["iter"] == last
    assert all(bool(tensor.isfinite().all()) for tensor in checkpoint["state_dict"].values())
    lines = [json.loads(line) for file in sorted(work_dir.glob("*/vis_data/scalars.json")) for line in file.open()]
    trained = [line for line in lines if "loss" in line]
    assert [line["step"] for line in trained] == list(range(1, last + 1))
    assert all(math.isfinite(value) for line in trained for key, value in line.items() if "loss" in key)
    return median(line["time"] for line in trained[last // 2 : last - 1])


def attention_inputs(images: int, height: int, width: int) -> list[Tensor]:
    """Those of the pixel decoder in mmseg's Mask2Former configs: 256 channels in 8 heads, 3 levels, 4 points a level.

    Args:
        images: In the batch.
        height, width: Of the image, in pixels; every cell of every level is a query.
    """
    random = torch.Generator().manual_seed(0)
    shapes = torch.tensor([(height // stride, width // stride) for stride in (32, 16, 8)])
    areas = shapes.prod(1)
    queries = int(areas.sum())
    value = torch.randn(images, queries, 8, 32, generator=random)
    locations = torch.rand(images, queries, 8, 3, 4, 2, generator=random)
    weights = torch.rand(images, queries, 8, 12, generator=random).softmax(-1).view(images, queries, 8, 3, 4)
    return [value, shapes, areas.cumsum(0) - areas, locations, weights]


def attend(inputs: list[Tensor]) -> list[Tensor]:
    """The output, and the gradients of the sum of its squares by value, locations and weights."""
    leaves = [tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in inputs]
    output = deformable.MultiScaleDeformableAttnFunction.apply(*leaves, 64)
    output.square().sum().backward()
    return [output.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def test_deformable_attention_is_the_cpus_by_the_stand_in_and_by_compiled_operators(
    machine: Machine, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmcv's compiled operator only where it is installed; else the table has the stand-in alone."""
    stand_in = SimpleNamespace(
        ms_deform_attn_forward=mmcv_ops._ms_deform_attn_forward,
        ms_deform_attn_backward=mmcv_ops._ms_deform_attn_backward,
    )
    operators = {"stand-in": stand_in}
    if mmcv_ops.has_compiled_ops():
        operators["compiled"] = deformable.ext_module
    inputs = attention_inputs(2, *machine.work.crop)
    there = [tensor.to(machine.device) for tensor in inputs]
    monkeypatch.setattr(deformable, "ext_module", stand_in)
    on_cpu = attend(inputs)
    for name, operator in operators.items():
        monkeypatch.setattr(deformable, "ext_module", operator)
        for result, expected in zip(attend(there), on_cpu, strict=True):
            torch.testing.assert_close(result.cpu(), expected, atol=1e-4, rtol=1e-3)
        timing = machine.times({name: lambda: attend(there)})[name]
        peak = machine.peak_bytes(lambda: attend(there))
        figures.add(ATTENTION, {"operator": name, "ms": f"{timing.device_ms:.2f}", "peak, MiB": peak // MIB})


@pytest.mark.gpu
def test_two_processes_train_one_model(machine: Machine, provecfg: CommandLine, tmp_path: Path) -> None:
    """By NCCL; tests/training has two processes by gloo."""
    if machine.cuda.device_count() < 2:
        pytest.skip(f"needs two GPUs: there is {machine.cuda.device_count()}")
    (config,) = write_configs(tmp_path / "configs", machine.work, provecfg, "pspnet_r50", ["focal"])
    words = ("run", config, "--no-pretrained", "--device", machine.device, "--gpus", 2, "--work-dir", tmp_path / "run")
    code, _, err = provecfg(*words, "-q")
    assert code == 0, err
    record = read_record(tmp_path / "run")
    assert record is not None
    assert (record.state, record.attempts[-1].processes, record.attempts[-1].device) == ("finished", 2, machine.device)
    assert record.best is not None
