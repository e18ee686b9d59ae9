"""Signals while training: a checkpoint first."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_distributed
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopSignals, asks_requeue
from provecfg.plugin.hooks.missed_validation import MakeUpValidation, is_validation_missing, progress_of

_CHECKPOINT_KEY = "last_validation"
_REQUEUE_RANK = 256  # above every signal's number


class TrainingInterrupted(ProvecfgError):  # noqa: N818  (an outcome, not a fault)
    """Training was ended by a signal. What it had done is in the checkpoint, if there is one.

    Args:
        signum: The signal.
        iteration: How many iterations were done.
        checkpoint: The file to go on from.
    """

    def __init__(self, signum: int, iteration: int, checkpoint: str | None) -> None:
        kept = f"{Path(checkpoint).name} holds what was done" if checkpoint else "there is no checkpoint yet"
        super().__init__(
            f"{signal.Signals(signum).name} after iteration {iteration}: {kept}",
            hint="resume to go on from there" if checkpoint else None,
            exit_code=ExitCode.REQUEUE if asks_requeue(signum) else ExitCode.INTERRUPTED,
        )
        self.signum = signum
        self.iteration = iteration
        self.checkpoint = checkpoint


@HOOKS.register_module()
class CheckpointOnInterruptHook(Hook):
    """On a signal that asks the run to end, finishes the iteration, writes a checkpoint, and ends training.

    The signals are those of `interruption`: SIGINT, SIGTERM and SIGHUP, after which `runner.train()` raises
    `TrainingInterrupted` with exit code 130, and SIGUSR1 and SIGUSR2, with exit code 75, which asks for a new start.
    A signal during a validation ends that at its next batch. The checkpoint is then of the iteration before it, and
    knows nothing of that validation, which comes first when the run goes on, whether or not an early-stopping hook asks
    for it. With several processes all end at the same iteration as soon as one of them has got a signal. An epoch-based
    loop goes on from whole epochs only, so there no checkpoint is written, and the last one stays.

    Before training has begun a signal raises `StopRequested` at once; so does a second one while training.

    Whoever sets `signals` has them listened to already. Otherwise the handlers are in place from `before_train` to
    `after_train`; a signal that came too late to end anything is then sent on to the handlers of before.
    """

    # After CheckpointHook (VERY_LOW), which may write the checkpoint of this iteration anyway.
    priority = "LOWEST"

    def __init__(self) -> None:
        self.signals = StopSignals()
        self._listening = ExitStack()
        self._last_validation: Mapping[str, int] = {"iter": 0, "epoch": 0}
        self._loaded: Mapping[str, int] | None = None
        self._make_up_hook: MakeUpValidation | None = None

    def before_run(self, runner: Runner) -> None:
        """Let validations be noted, and one that is missing be made up for."""
        if self._make_up_hook is None:
            self._make_up_hook = MakeUpValidation(self.make_up)
            # When every other hook has prepared for training.
            runner.register_hook(self._make_up_hook, priority="LOWEST")
            # Before CheckpointHook (VERY_LOW), which may write the checkpoint of this iteration again.
            runner.register_hook(_ValidationNote(self), priority="LOW")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add when the last validation was, as plain data."""
        checkpoint[_CHECKPOINT_KEY] = dict(self._last_validation)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep it until training begins, when it is known whether this is a resume."""
        self._loaded = checkpoint.get(_CHECKPOINT_KEY)

    def note_validation(self, runner: Runner) -> None:
        """Remember that there was a validation here, for the next checkpoint to say."""
        self._last_validation = progress_of(runner)

    def make_up(self, runner: Runner) -> None:
        """Run the validation that the resumed checkpoint does not know of, unless early stopping has just done so."""
        loaded, self._loaded = self._loaded, None
        if runner.iter == 0 or loaded is None:
            return
        if self._last_validation["iter"] == 0:
            self._last_validation = loaded
        if is_validation_missing(runner, self._last_validation):
            runner.logger.info(f"iteration {runner.iter} was saved before its validation, which comes first")
            runner.val_loop.run()

    def before_train(self, runner: Runner) -> None:
        """Listen, and note the first signal from now on."""
        if not self.signals.is_listening:
            self._listening.enter_context(self.signals.listening())
        self.signals.defer()

    def after_train(self, runner: Runner) -> None:
        """Training is done: there is nothing left to end."""
        self.signals.finish()
        is_own = self.signals.is_listening
        self._listening.close()
        if is_own and not self.signals.is_listening and self.signals.received is not None:
            signal.raise_signal(self.signals.received)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """End training if any process has got a signal: one that stops alone would leave the others waiting."""
        signum = self._received_anywhere()
        if signum is not None:
            self._end(runner, signum, iteration=runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """End training out of a validation."""
        if self.signals.received is not None:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)  # gives the model its own weights back
            self._end(runner, self.signals.received, iteration=runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """End training after a validation if asked to."""
        if self.signals.received is not None:
            # Written even if there is one of this iteration: that one does not know of this validation.
            self._end(runner, self.signals.received, iteration=runner.iter, rewrite=True)

    def _end(self, runner: Runner, signum: int, iteration: int, rewrite: bool = False) -> None:
        """Write a checkpoint if need be, and leave the training loop."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            for hook in runner.hooks:
                if isinstance(hook, CheckpointHook):
                    _save(runner, hook, iteration, rewrite)
        self.signals.finish()
        self._listening.close()
        # after_run, where LoggerHook does this, is not reached.
        runner.visualizer.close()
        raise TrainingInterrupted(signum, iteration, _last_checkpoint(runner))

    def _received_anywhere(self) -> int | None:
        """The signal that this process has got, or with several processes one that asks for the most."""
        received = self.signals.received
        if not is_distributed():
            return received
        rank = 0 if received is None else received + _REQUEUE_RANK * asks_requeue(received)
        highest = torch.tensor(float(rank))
        all_reduce(highest, op="max")
        return int(highest.item()) % _REQUEUE_RANK or None


class _ValidationNote(Hook):
    """Calls `note_validation` after each."""

    def __init__(self, interrupt: CheckpointOnInterruptHook) -> None:
        self.interrupt = interrupt

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.interrupt.note_validation(runner)


def _save(runner: Runner, hook: CheckpointHook, iteration: int, rewrite: bool) -> None:
    path = hook.file_backend.join_path(hook.out_dir, hook.filename_tmpl.format(iteration))
    is_known = runner.message_hub.get_info("last_ckpt") == path and hook.file_backend.exists(path)
    if rewrite or not is_known:
        hook._save_checkpoint_with_step(runner, iteration, {"epoch": runner.epoch, "iter": iteration})


def _last_checkpoint(runner: Runner) -> str | None:
    pointer = Path(runner.work_dir) / "last_checkpoint"
    return pointer.read_text().strip() if pointer.is_file() else None
