"""Hooks registered in mmengine."""

from provecfg.plugin.hooks.checkpoint import PlainCheckpointHook
from provecfg.plugin.hooks.early_stopping import ResumableEarlyStoppingHook
from provecfg.plugin.hooks.finite_loss import FiniteLossHook, NonFiniteError
from provecfg.plugin.hooks.interrupt import CheckpointOnInterruptHook, TrainingInterrupted
from provecfg.plugin.hooks.loss_weight_schedule import LossWeightScheduleHook
from provecfg.plugin.hooks.validation_counts import ValidationCountsHook

__all__ = [
    "CheckpointOnInterruptHook",
    "FiniteLossHook",
    "LossWeightScheduleHook",
    "NonFiniteError",
    "PlainCheckpointHook",
    "ResumableEarlyStoppingHook",
    "TrainingInterrupted",
    "ValidationCountsHook",
]
