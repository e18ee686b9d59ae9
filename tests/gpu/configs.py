"""Configs for a machine, made as a user makes them: from a study, by `provecfg generate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from tests.gpu.machine import Workload

DATASET = "bdd10k"
CommandLine = Callable[..., tuple[int, str, str]]


def write_configs(folder: Path, work: Workload, provecfg: CommandLine, *, amp: bool, **changes: Any) -> list[Path]:
    """The configs of every model and loss of the workload, on drawn data.

    Args:
        folder: Where the study and its configs go.
        work: Models, losses, crop and length.
        provecfg: The command line.
        amp: Whether in mixed precision.
        **changes: Fields of the workload that are otherwise here, and `batch_size`.
    """
    batch_size = changes.pop("batch_size", 2)
    models = changes.pop("models", work.models)
    losses = changes.pop("auxiliary_losses", work.auxiliary_losses)
    assert not changes
    width, height = work.images
    root = smoke_data_for(DATASETS[DATASET], Drawing(width=width, height=height))
    study = {
        "name": f"gpu-{'amp' if amp else 'full'}-{batch_size}",
        "models": list(models),
        "losses": {"auxiliary": list(losses)},
        "early_stopping": None,  # a run of so few validations cannot be stopped by one
        "schedule": {"max_iters": work.iterations, "val_interval": work.iterations // 2},
        "data": {
            "root": str(root),
            "crop_size": list(work.crop),
            "resize_scale": list(work.images),
            "batch_size": batch_size,
            "num_workers": 2,
        },
        "runtime": {"amp": amp, "log_interval": 1},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    code, _, said = provecfg("generate", path, "-o", folder)
    assert code == 0, said
    return sorted(folder.glob("*.py"))
