"""The memory forecast of `provecfg prove` against what training takes of the card."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from provecfg.proof.declared.small_config import shrunk
from provecfg.proof.memory.check import check
from provecfg.proof.memory.memory_size import gib
from provecfg.proof.subject import Subject, nothing_printed
from tests.gpu.figures import Figures, Row
from tests.gpu.machine import MIB, Machine
from tests.gpu.training_runs import CommandLine, train_only, write_configs
from tests.proof.built_models import built_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore"),
]

HELD = "The forecast of tensors by `provecfg prove` against what training took, in MiB:"
ALLOWED = "What the allowances of `provecfg/proof/memory/check.py` would have to be for these runs:"
LARGEST = "The largest batch that the forecast says fits, tried, and a quarter more:"


class MemoryPair(NamedTuple):
    """Bytes of a run: forecast of its tensors, held by torch's allocator, and in use beside that."""

    forecast: int
    reserved: int
    outside: int


def allowances(pairs: list[MemoryPair]) -> tuple[float, int]:
    """What GPU_SHARE has to be to cover 95 % of the runs, and CUDA_RESERVE, in bytes, to cover all."""
    shares = sorted(pair.reserved / pair.forecast - 1 for pair in pairs)
    return max(0.0, shares[math.ceil(0.95 * len(shares)) - 1]), max(pair.outside for pair in pairs)


def test_the_share_covers_nineteen_runs_of_twenty() -> None:
    pairs = [MemoryPair(100, 100 + step, 50 + step) for step in range(20)]
    assert allowances(pairs) == (pytest.approx(0.18), 69)
    assert allowances([MemoryPair(100, 60, 5)]) == (0.0, 5)


@pytest.fixture(scope="module")
def pairs(figures: Figures) -> Iterator[list[MemoryPair]]:
    """Of all runs that were not out of memory; the allowances are fitted when they are through."""
    pairs: list[MemoryPair] = []
    yield pairs
    if pairs:
        share, reserve = allowances(pairs)
        row = {"runs": len(pairs), "GPU_SHARE": f"{share:.2f}", "CUDA_RESERVE, MiB": math.ceil(reserve / MIB)}
        figures.add(ALLOWED, row)


@pytest.fixture
def config_at(model: str, amp: bool, machine: Machine, provecfg: CommandLine, tmp_path: Path) -> Callable[[int], Path]:
    """The model's config with cross-entropy alone, at a batch size."""

    def at(batch: int) -> Path:
        folder = tmp_path / f"batch-{batch}"
        return write_configs(folder, machine.work, provecfg, model, ["none"], amp=amp, batch_size=batch)[0]

    return at


def forecast_of(path: Path, machine: Machine) -> dict[str, Any]:
    """The evidence of the forecast, on the model as `prove` builds it."""
    config = Config.fromfile(str(path), import_custom_modules=False)
    init_default_scope("mmseg")
    with nothing_printed():
        model = revert_sync_batchnorm(MODELS.build(copy.deepcopy(shrunk(config, "cpu").model))).train()
        built = built_of(config, model)
    section = check(Subject(path, config, "cpu", None, path.parent, gpu_memory=machine.memory), built)
    assert section.not_judged is None, section.not_judged
    return dict(section.evidence)


def test_the_forecast_is_held_against_the_card(
    model: str,
    amp: bool,
    machine: Machine,
    figures: Figures,
    pairs: list[MemoryPair],
    config_at: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    """No bound on the error: it is what is asked. A run that does not fit though it should is a failure."""
    for batch in machine.work.batches:
        config = config_at(batch)
        evidence = forecast_of(config, machine)
        with machine.watching_memory() as use:
            end = train_only(config, tmp_path / f"run-{batch}", machine.device, iterations(machine))
        forecast = evidence["peak_bytes"]
        figures.add(
            HELD,
            {
                "model": model,
                "AMP": amp,
                "batch": batch,
                "forecast": forecast // MIB,
                "allocated": use.allocated // MIB,
                "error": f"{forecast / use.allocated - 1:+.1%}" if end == "finished" else "",
                "reserved": use.reserved // MIB,
                "outside": use.outside // MIB,
                "end": end,
            },
        )
        if end == "finished":
            pairs.append(MemoryPair(forecast, use.reserved, use.outside))
        assert evidence["bytes_with_allowances"] > machine.memory or end == "finished"


def test_the_largest_batch_that_is_said_to_fit_fits(
    model: str, amp: bool, machine: Machine, figures: Figures, config_at: Callable[[int], Path], tmp_path: Path
) -> None:
    two = config_at(2)
    largest = forecast_of(two, machine)["largest_batch"][gib(machine.memory)]
    batch = min(largest, machine.work.most_images)
    if batch < 2:
        pytest.skip(f"the forecast says that two images do not fit {gib(machine.memory)}")
    ends = []
    for images in (batch, math.ceil(1.25 * batch)):
        config = two if images == 2 else config_at(images)
        ends.append(train_only(config, tmp_path / f"run-{images}", machine.device, iterations(machine)))
    row: Row = {"model": model, "AMP": amp, "largest": batch, "it": ends[0], "a quarter more": ends[1]}
    figures.add(LARGEST, row)
    assert ends[0] == "finished"


def iterations(machine: Machine) -> int:
    """After the second, the optimizer has its state, and cuDNN has chosen its kernels."""
    return 2 if machine.is_dry else 6
