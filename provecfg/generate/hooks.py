"""The hooks of every cell of a study: checkpoints, logs, counts of the validations, and what stops a run."""

from __future__ import annotations

from typing import Any

from provecfg.generate.schedule import val_interval
from provecfg.study.schema import EarlyStopping, Study


def default_hooks(study: Study) -> dict[str, Any]:
    """The `default_hooks`."""
    stopping, runtime = study.early_stopping, study.runtime
    return {
        "timer": {"type": "IterTimerHook"},
        "logger": {"type": "LoggerHook", "interval": runtime.log_interval, "log_metric_by_epoch": False},
        "param_scheduler": {"type": "ParamSchedulerHook"},
        "checkpoint": {
            "type": "PlainCheckpointHook",
            "by_epoch": False,
            "interval": val_interval(study.schedule),
            "max_keep_ckpts": runtime.max_keep_ckpts,
            "save_best": stopping.monitor if stopping else "val/mIoU",
            "rule": "greater",
        },
        "sampler_seed": {"type": "DistSamplerSeedHook"},
    }


def stopping_hooks(stopping: EarlyStopping | None) -> list[dict[str, Any]]:
    """The `custom_hooks` that end a run."""
    hooks: list[dict[str, Any]] = [{"type": "FiniteLossHook"}]
    if stopping is not None:
        arguments = stopping.model_dump()
        if stopping.stopping_threshold is None:
            del arguments["stopping_threshold"]
        hooks.append({"type": "ResumableEarlyStoppingHook", **arguments})
    return hooks


def counts_hooks() -> list[dict[str, Any]]:
    """The `custom_hooks` that keep what the evaluator counted."""
    return [{"type": "ValidationCountsHook"}]


def stopping_title(stopping: EarlyStopping | None) -> str:
    """When a run stops early, in words."""
    if stopping is None:
        return "no early stop"
    return (
        f"early stop after {stopping.patience} validations without {stopping.min_delta:g} points of {stopping.monitor}"
    )
