"""Random numbers that go on where they were, so that a resumed run makes the losses of one in a piece."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from provecfg.plugin.hooks.plain_data import from_plain, to_plain

_CHECKPOINT_KEY = "random_state"


class RandomStateHook(Hook):
    """Keeps the states of Python's, NumPy's and torch's generators in the checkpoint, and takes them back on resume.

    With one process that loads its data itself, a resumed run on a CPU then draws the augmentations and the dropout
    of one in a piece. Loader processes have generators of their own, which start anew with the run: there the
    augmentations after a resume are others. With several processes nothing is kept: each has generators of its own,
    and the checkpoint is of one.

    mmengine draws, too: a number for every iterator over a loader. So what counts is the state after an iteration or a
    validation, and it is put back in two steps: before a validation that is made up for, and, for torch, which the new
    iterator over the training data has drawn from, in the first iteration.

    State: `checkpoint["random_state"]`, a dict of python, numpy, torch and cuda, plain data.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None
        self._loaded: dict[str, Any] | None = None
        self._torch_state: dict[str, Any] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the states until `before_train` knows whether this is a resume."""
        self._loaded = from_plain(checkpoint.get(_CHECKPOINT_KEY))

    def before_train(self, runner: Runner) -> None:
        """Put them back if the run was resumed: only then is its first iteration not 0."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None and runner.iter > 0 and get_world_size() == 1:
            random.setstate(_tuples(loaded["python"]))
            np.random.set_state(loaded["numpy"])
            _set_torch_state(loaded)
            self._torch_state = {}
        self._state = _present_state()

    def before_train_epoch(self, runner: Runner) -> None:
        """Every other hook has prepared for training, and maybe validated."""
        if self._torch_state is not None:
            self._torch_state = _torch_state()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """In the first iteration after a resume, forget what the iterator over the data has drawn."""
        torch_state, self._torch_state = self._torch_state, None
        if torch_state is not None:
            _set_torch_state(torch_state)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Take the states."""
        self._state = _present_state()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the states."""
        self._state = _present_state()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add them, as plain data."""
        if self._state is not None and get_world_size() == 1:
            checkpoint[_CHECKPOINT_KEY] = to_plain(self._state)


def _present_state() -> dict[str, Any]:
    return {"python": random.getstate(), "numpy": np.random.get_state(legacy=False), **_torch_state()}


def _torch_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"torch": torch.get_rng_state(), "cuda": cuda}


def _set_torch_state(state: dict[str, Any]) -> None:
    # Resuming puts every tensor on the device.
    torch.set_rng_state(state["torch"].cpu())
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([tensor.cpu() for tensor in state["cuda"]])


def _tuples(state: Any) -> Any:
    version, numbers, gauss = state
    return version, tuple(numbers), gauss
