"""Ctrl-C and SIGTERM while training: a checkpoint first."""

from __future__ import annotations

import mmap
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_distributed
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from provecfg.errors import ExitCode, ProvecfgError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(ProvecfgError):  # noqa: N818  (an outcome, not a fault)
    """Training was ended by a signal. What it had done is in the checkpoint, if there is one.

    Args:
        signum: The signal.
        iteration: How many iterations were done.
        checkpoint: The file to go on from.
    """

    def __init__(self, signum: int, iteration: int, checkpoint: str | None) -> None:
        kept = f"{checkpoint} holds what was done" if checkpoint else "there is no checkpoint yet"
        super().__init__(
            f"{signal.Signals(signum).name} after iteration {iteration}: {kept}",
            hint="resume to go on from there" if checkpoint else None,
            exit_code=ExitCode.INTERRUPTED,
        )
        self.signum = signum
        self.iteration = iteration
        self.checkpoint = checkpoint


@HOOKS.register_module()
class CheckpointOnInterruptHook(Hook):
    """On SIGINT or SIGTERM, finishes the iteration, writes a checkpoint, and ends training.

    `runner.train()` then raises `TrainingInterrupted`, whose exit code is 130. A signal during a validation ends
    that at its next batch. The checkpoint is then of the iteration before it, and knows nothing of that validation,
    which `ResumableEarlyStoppingHook` makes up for on resume. With several processes all end at the same iteration
    as soon as one of them has got the signal.

    The first signal puts the previous handlers back, so a second one does at once what it would have done without this
    hook. So does the first before training has begun. An epoch-based loop goes on from whole epochs only, so there no
    checkpoint is written, and the last one stays.

    The handlers are in place from `before_train` to `after_train`. Better is to train inside of
    `with hook.listening():`, which also removes them when training raises, and sets them before data-loading workers
    are forked. These inherit them, and ignore both signals as long as this process trains: a terminal, Slurm and
    torchrun send signals to the whole group, and the loss of a worker would end the iteration. Outside of the main
    thread Python allows no handlers, and this hook does nothing.
    """

    # After CheckpointHook (VERY_LOW), which may write the checkpoint of this iteration anyway.
    priority = "LOWEST"

    def __init__(self) -> None:
        self.received: int | None = None
        """The signal that training is to end for, or has ended for."""
        self._previous: dict[int, Any] = {}
        self._pid = os.getpid()
        # In memory that forked workers share, so that they know it too.
        self._training_flag = mmap.mmap(-1, 1)

    @property
    def _is_training(self) -> bool:
        return self._training_flag[0] == 1

    @_is_training.setter
    def _is_training(self, value: bool) -> None:
        self._training_flag[0] = int(value)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Have the handlers in place inside of this context."""
        self._set_handlers()
        try:
            yield
        finally:
            self._is_training = False
            self._put_back_handlers()

    def before_train(self, runner: Runner) -> None:
        self._set_handlers()
        self._is_training = True

    def after_train(self, runner: Runner) -> None:
        """Put the handlers back. A signal that came too late to end anything is sent on to them."""
        self._is_training = False
        self._put_back_handlers()
        if self.received is not None:
            signal.raise_signal(self.received)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        # One process that stops would leave the others waiting for its gradients.
        if self._has_any_received():
            self._end(runner, iteration=runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if self.received is not None and self._is_training:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)  # gives the model its own weights back
            self._end(runner, iteration=runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if self.received is not None and self._is_training:
            # Written even if there is one of this iteration: that one does not know of this validation.
            self._end(runner, iteration=runner.iter, rewrite=True)

    def _end(self, runner: Runner, iteration: int, rewrite: bool = False) -> None:
        """Write a checkpoint if need be, and leave the training loop."""
        signum = self.received or signal.SIGTERM  # the latter: of another process
        self.received = signum
        self._is_training = False
        self._put_back_handlers()
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            for hook in runner.hooks:
                if isinstance(hook, CheckpointHook):
                    _save(runner, hook, iteration, rewrite)
        # after_run, where LoggerHook does this, is not reached.
        runner.visualizer.close()
        raise TrainingInterrupted(signum, iteration, _last_checkpoint(runner))

    def _has_any_received(self) -> bool:
        if not is_distributed():
            return self.received is not None
        flag = torch.tensor(float(self.received is not None))
        all_reduce(flag, op="max")
        return bool(flag.item())

    def _set_handlers(self) -> None:
        if threading.current_thread() is threading.main_thread() and not self._previous:
            self._pid = os.getpid()
            self._previous = {signum: signal.signal(signum, self._handle) for signum in _SIGNALS}

    def _put_back_handlers(self) -> None:
        previous, self._previous = self._previous, {}
        for signum, handler in previous.items():
            # None: one that was not set from Python, and cannot be put back from it
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)

    def _handle(self, signum: int, frame: Any) -> None:
        is_worker = os.getpid() != self._pid
        if is_worker and self._is_training:
            return
        self._put_back_handlers()
        if self._is_training:
            self.received = signum
        else:
            signal.raise_signal(signum)


def _save(runner: Runner, hook: CheckpointHook, iteration: int, rewrite: bool) -> None:
    path = hook.file_backend.join_path(hook.out_dir, hook.filename_tmpl.format(iteration))
    is_known = runner.message_hub.get_info("last_ckpt") == path and hook.file_backend.exists(path)
    if rewrite or not is_known:
        hook._save_checkpoint_with_step(runner, iteration, {"epoch": runner.epoch, "iter": iteration})


def _last_checkpoint(runner: Runner) -> str | None:
    pointer = Path(runner.work_dir) / "last_checkpoint"
    return pointer.read_text().strip() if pointer.is_file() else None
