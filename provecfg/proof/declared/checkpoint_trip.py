"""One checkpoint of a run that has not trained: written, read and resumed by mmengine, with all hooks."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.hook_starts import can_begin
from provecfg.proof.declared.problems import NOT_RESUMED
from provecfg.proof.exceptions import described

_FILE = "proof.pth"
_SITE = "site-packages"


def resumed(parts: Parts, folder: Path) -> Iterator[Finding]:
    """What fails where a checkpoint is written and the run resumed from it.

    Args:
        parts: What was built; its run has begun. The weights stay as they are.
        folder: Where the checkpoint may be written, without the weights' numbers.
    """
    runner, model = parts.runner, parts.model
    if model is None or not can_begin(parts) or parts.failed("param_scheduler"):
        return
    # The config is written into it, and its formatting takes a second.
    with mock.patch.object(Config, "pretty_text", ""), _of_few_bytes(model):
        for what, step in (("written", _write), ("resumed from", _resume)):
            try:
                step(runner, folder)
            except Exception as error:  # a class of the config's own may raise anything
                if _is_of_installed(error):
                    message = f"a checkpoint of the run cannot be {what}: {described(error)}"
                    yield Finding(NOT_RESUMED, message, "default_hooks.checkpoint")
                break
    (folder / _FILE).unlink(missing_ok=True)


@contextlib.contextmanager
def _of_few_bytes(model: nn.Module) -> Iterator[None]:
    """Let a model's state have names, shapes and types, and one number for all: writing a gigabyte takes seconds."""
    kept = [(tensor, tensor.detach().clone()) for tensor in (*model.parameters(), *model.buffers())]
    state = model.state_dict

    def small(*args: Any, **kwargs: Any) -> Any:
        whole = state(*args, **kwargs)
        for name, value in whole.items():
            if isinstance(value, torch.Tensor):
                whole[name] = value.new_zeros(()).expand(value.shape)
        return whole

    with mock.patch.object(model, "state_dict", small):
        yield
    with torch.no_grad():
        for tensor, before in kept:
            tensor.copy_(before)


def _write(runner: Any, folder: Path) -> None:
    runner.save_checkpoint(str(folder), _FILE, by_epoch=False)


def _resume(runner: Any, folder: Path) -> None:
    loop = runner.built_train_loop
    begun = loop._iter, loop._epoch
    try:
        runner.resume(str(folder / _FILE))
    finally:
        loop._iter, loop._epoch = begun


def _is_of_installed(error: Exception) -> bool:
    """Whether an installed package raised: a class of the user's own may look at what is not there in a proof."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and (_SITE in frames[-1].filename or "<" in frames[-1].filename)
