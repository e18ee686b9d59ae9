"""Configs made as a user makes them, and runs of them for what the command line does not say."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.mmconfig import read_config
from provecfg.training.options import RunOptions
from provecfg.training.preflight import Prepared, prepare
from provecfg.training.runner import train
from tests.gpu.machine import Workload

CommandLine = Callable[..., tuple[int, str, str]]
DATASET = "bdd10k"
NEVER = 10**9


def write_configs(
    folder: Path,
    work: Workload,
    provecfg: CommandLine,
    model: str,
    losses: Sequence[str],
    *,
    amp: bool = False,
    batch_size: int = 2,
) -> list[Path]:
    """The configs of a model with auxiliary losses, on drawn data, made by `provecfg generate`."""
    width, height = work.images
    study = {
        "name": "gpu",
        "models": [model],
        "losses": {"auxiliary": list(losses)},
        "early_stopping": None,  # a run of so few validations cannot be stopped by one
        "schedule": {"max_iters": work.iterations, "val_interval": work.iterations // 2},
        "data": {
            "root": str(smoke_data_for(DATASETS[DATASET], Drawing(width=width, height=height))),
            "crop_size": list(work.crop),
            "resize_scale": list(work.images),
            "batch_size": batch_size,
            "num_workers": work.workers,
        },
        "runtime": {"amp": amp, "log_interval": 1},
    }
    folder.mkdir(parents=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    code, _, err = provecfg("generate", path, "-o", folder)
    assert code == 0, err
    configs = sorted(folder.glob("*.py"))
    return [_smaller(config, work.smaller) for config in configs] if work.smaller else configs


def _smaller(config: Path, changes: str) -> Path:
    """A child of a config that changes it."""
    child = config.parent / "smaller" / config.name
    child.parent.mkdir(exist_ok=True)
    child.write_text(f"_base_ = ['../{config.name}']\n{changes}", encoding="utf-8")
    return child


@HOOKS.register_module(force=True)
class InterruptAt(Hook):
    """Sends this process the signal of Ctrl-C in one iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.iteration:
            signal.raise_signal(signal.SIGINT)


def interrupt_run(path: Path, work_dir: Path, device: str, iteration: int) -> None:
    """Train a config from random weights until Ctrl-C ends it."""
    prepared = _prepared(path, work_dir, device)
    hooks = [*(prepared.config.get("custom_hooks") or []), {"type": "InterruptAt", "iteration": iteration}]
    prepared.config.custom_hooks = hooks
    outcome = train(prepared)
    assert (outcome.state, outcome.iteration) == ("interrupted", iteration), outcome.message


def train_only(path: Path, work_dir: Path, device: str, iterations: int) -> str:
    """A short training without validation, which takes memory of its own.

    Returns:
        `finished`, or `out of memory`; any other end is a mistake.
    """
    prepared = _prepared(path, work_dir, device)
    prepared.config.train_cfg.update(max_iters=iterations, val_interval=NEVER)
    prepared.config.default_hooks.checkpoint.update(interval=NEVER, save_last=False)
    outcome = train(prepared)
    if outcome.message.startswith("out of GPU memory"):
        return "out of memory"
    assert outcome.state == "finished", outcome.message
    return outcome.state


def _prepared(path: Path, work_dir: Path, device: str) -> Prepared:
    options = RunOptions(device=device, work_dir=work_dir, pretrained=False, quiet=True)
    prepared = prepare(path, options, read_config(path))
    assert prepared.is_ready, prepared.findings
    return prepared
