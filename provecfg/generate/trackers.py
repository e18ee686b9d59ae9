"""The visualizer of every cell of a study: its files in the work dir, and the trackers that get the same numbers."""

from __future__ import annotations

from typing import Any

from provecfg.study.schema import Study


def visualizer(study: Study) -> dict[str, Any]:
    """The `visualizer`. Backends name a run as its work dir is named; what it belongs to is the study."""
    backends: dict[str, dict[str, Any]] = {
        "tensorboard": {"type": "TensorboardRunBackend"},
        "mlflow": {"type": "MLflowRunBackend", "exp_name": study.name},
        "wandb": {"type": "WandbRunBackend", "init_kwargs": {"project": study.name}},
    }
    chosen = [backends[name] for name in dict.fromkeys(study.runtime.trackers)]
    return {
        "type": "SegLocalVisualizer",
        "vis_backends": [{"type": "LocalVisBackend"}, *chosen],
        "name": "visualizer",
    }
