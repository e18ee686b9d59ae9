"""The memory forecast of `provecfg prove` against what training takes of the card."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import provecfg.plugin  # noqa: F401  (registers what the configs name)
from provecfg.proof.built import Built
from provecfg.proof.declared.small_config import shrunk
from provecfg.proof.memory.check import prove
from provecfg.proof.memory.memory_size import gib
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.training.runner import Outcome
from tests.gpu.configs import CommandLine, write_configs
from tests.gpu.figures import Figures
from tests.gpu.machine import REAL, Machine, MemoryUse
from tests.gpu.training_runs import training_alone

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.stack,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore"),
]

ITERATIONS = 6
"""After the second, the optimizer has its state, and cuDNN has chosen its kernels."""
OUT_OF_MEMORY = "out of GPU memory"
"""What a run's record says."""


@pytest.mark.parametrize("amp", [False, True], ids=["full precision", "AMP"])
@pytest.mark.parametrize("model", REAL.models)
def test_the_forecast_is_held_against_the_card(
    model: str, amp: bool, machine: Machine, figures: Figures, provecfg: CommandLine, tmp_path: Path
) -> None:
    """No bound on the error: it is what is asked. A run that does not fit though it should is an error."""
    if model not in machine.work.models or amp not in machine.work.amp:
        pytest.skip("not in the dry form")
    for batch in machine.work.batches:
        config = config_of(tmp_path / f"batch-{batch}", machine, provecfg, model, amp, batch)
        evidence = forecast_of(config, machine, tmp_path)
        outcome, use = measured(config, tmp_path / f"run-{batch}", machine)
        figures.add(
            "forecast",
            model=model,
            amp=amp,
            batch=batch,
            forecast=evidence["peak_bytes"],
            with_allowances=evidence["bytes_with_allowances"],
            allocated=use.allocated,
            reserved=use.reserved,
            outside=use.outside,
            state=state_of(outcome),
        )
        assert evidence["bytes_with_allowances"] > machine.memory or outcome.state == "finished", outcome.message


@pytest.mark.parametrize("amp", [False, True], ids=["full precision", "AMP"])
@pytest.mark.parametrize("model", REAL.models)
def test_the_largest_batch_that_is_said_to_fit_fits(
    model: str, amp: bool, machine: Machine, figures: Figures, provecfg: CommandLine, tmp_path: Path
) -> None:
    if model not in machine.work.models or amp not in machine.work.amp:
        pytest.skip("not in the dry form")
    two = config_of(tmp_path / "two", machine, provecfg, model, amp, 2)
    largest = forecast_of(two, machine, tmp_path)["largest_batch"][gib(machine.memory)]
    batch = min(largest, machine.work.most_images)
    if batch < 2:
        pytest.skip(f"the forecast says that two images do not fit {gib(machine.memory)}")
    states = []
    for images in (batch, math.ceil(1.25 * batch)):
        config = config_of(tmp_path / f"batch-{images}", machine, provecfg, model, amp, images)
        outcome, _ = measured(config, tmp_path / f"run-{images}", machine)
        states.append(state_of(outcome))
    figures.add("largest batch", model=model, amp=amp, batch=batch, state=states[0], more=states[1])
    assert states[0] == "finished"


def config_of(folder: Path, machine: Machine, provecfg: CommandLine, model: str, amp: bool, batch: int) -> Path:
    """The config of a model with cross-entropy alone, at a batch size."""
    (config,) = write_configs(
        folder, machine.work, provecfg, amp=amp, models=[model], auxiliary_losses=["none"], batch_size=batch
    )
    return config


def forecast_of(path: Path, machine: Machine, folder: Path) -> dict[str, Any]:
    """The evidence of the forecast, on the model as `prove` builds it."""
    config = Config.fromfile(str(path), import_custom_modules=False)
    init_default_scope("mmseg")
    with nothing_printed():
        small = shrunk(config, machine.device)
        model = revert_sync_batchnorm(MODELS.build(copy.deepcopy(small.model))).train()
    section = prove(Subject(path, config, None, "cpu", None, folder), Built(model, machine.work.crop), machine.memory)
    assert section.not_judged is None, section.not_judged
    return dict(section.evidence)


def measured(path: Path, work_dir: Path, machine: Machine) -> tuple[Outcome, MemoryUse]:
    """A short training of a config, and what it took."""
    with machine.watching_memory() as use:
        outcome = training_alone(path, work_dir, machine.device, ITERATIONS if not machine.is_dry else 2)
    return outcome, use


def state_of(outcome: Outcome) -> str:
    """How a run ended; out of memory is one of the answers, any other failure a mistake of these scripts.

    Raises:
        AssertionError: It failed of something else.
    """
    if outcome.message.startswith(OUT_OF_MEMORY):
        return "out of memory"
    assert outcome.state == "finished", outcome.message
    return outcome.state
