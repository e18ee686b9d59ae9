"""Early stopping whose best score and wait count outlive a restart."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any

import numpy as np
from mmengine.hooks import EarlyStoppingHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from provecfg.plugin.hooks.missed_validation import MakeUpValidation, is_validation_missing, progress_of

_CHECKPOINT_KEY = "early_stopping"


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """mmengine's `EarlyStoppingHook` with its state in the checkpoint: a resumed run stops where one in a piece would.

    The best score, the wait count and when the last validation was are written into every checkpoint, as plain
    data, and taken back on resume. They are not taken from a checkpoint whose weights are only loaded (`load_from`).

    A training loop writes the checkpoint of iteration k before it validates at k. If the run ends between the two, or
    ends later with no newer checkpoint, that checkpoint does not know of the validation. It is then made up for before
    training goes on, with all that belongs to a validation (log, best checkpoint, wait count), and training does not go
    on if that validation ends it.

    A run that had already stopped early stops again on resume, without training: its wait count is restored, or found
    again by that validation. To train on, raise `patience` (or change the limit that it met) and resume.

    Args: those of `EarlyStoppingHook`, which has the same defaults.

    State: `checkpoint["early_stopping"][monitor]`, a dict of rule (str), best_score (float), wait_count (int),
        last_score (float or None), and iter and epoch (int) of the last validation counted.
    """

    # Before CheckpointHook (VERY_LOW), which writes the last checkpoint again when a validation improves on the best
    # score: that checkpoint is to know of that validation.
    priority = "LOW"

    best_score: Any  # the parent's, of the type that the metric has
    # No __init__, so that the arguments are seen to be the parent's. Nothing here is changed in place.
    last_score: float | None = None
    _last_validation: Mapping[str, int] = MappingProxyType({"iter": 0, "epoch": 0})
    _loaded: Mapping[str, Any] | None = None
    _make_up_hook: MakeUpValidation | None = None

    def before_run(self, runner: Runner) -> None:
        super().before_run(runner)
        if self._make_up_hook is None:
            self._make_up_hook = MakeUpValidation(self.make_up)
            runner.register_hook(self._make_up_hook, priority="LOWEST")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        self._last_validation = progress_of(runner)
        score: Any = metrics.get(self.monitor)
        self.last_score = None if score is None else float(score)
        if isinstance(score, np.generic):
            # IoUMetric's is a float32. Added to a best score restored as Python's float, min_delta rounds otherwise.
            self.best_score = type(score)(self.best_score)
        super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the state, as plain data, under the name of the monitored metric."""
        checkpoint.setdefault(_CHECKPOINT_KEY, {})[self.monitor] = {
            "rule": self.rule,
            "best_score": float(self.best_score),
            "wait_count": int(self.wait_count),
            "last_score": self.last_score,
            **self._last_validation,
        }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the state until `before_train` knows whether this is a resume."""
        self._loaded = checkpoint.get(_CHECKPOINT_KEY, {}).get(self.monitor, {})

    def before_train(self, runner: Runner) -> None:
        """Take the state back if the run was resumed: only then is its first iteration not 0."""
        state, self._loaded = self._loaded, None
        if state is None or runner.iter == 0:
            return
        if state.get("rule") != self.rule:
            runner.logger.warning(
                f"the checkpoint has no early-stopping state of {self.monitor!r} with rule {self.rule!r}: "
                "patience starts anew"
            )
            # Nor can it be known whether a validation is missing.
            self._last_validation = progress_of(runner)
            return
        self.best_score = state["best_score"]
        self.wait_count = state["wait_count"]
        self.last_score = state["last_score"]
        self._last_validation = {"iter": state["iter"], "epoch": state["epoch"]}
        runner.logger.info(
            f"early stopping on {self.monitor!r} goes on: best score {self.best_score:.4g}, "
            f"{self.wait_count} of {self.patience} validations without progress"
        )

    def make_up(self, runner: Runner) -> None:
        """Run the validation that the resumed checkpoint does not know of, and stop a run that had stopped."""
        if runner.iter == 0:
            return
        if is_validation_missing(runner, self._last_validation):
            runner.logger.info(
                f"the checkpoint of iteration {runner.iter} was written before its validation, which comes first"
            )
            runner.val_loop.run()
        elif self._had_stopped():
            runner.train_loop.stop_training = True
            runner.logger.info(
                f"early stopping had ended this run at iteration {self._last_validation['iter']} "
                f"(best {self.monitor} {self.best_score:.4g}); raise `patience` to train on"
            )

    def _had_stopped(self) -> bool:
        met_threshold = self.stopping_threshold is not None and self.rule_map[self.rule](
            self.best_score, self.stopping_threshold
        )
        broke = self.check_finite and self.last_score is not None and not isfinite(self.last_score)
        return met_threshold or broke or self.wait_count >= self.patience
