"""The first moments of a run: hooks are called as mmengine calls them before it trains, and backends are imported.

Where the loop counts epochs, the first one ends and the second begins, too.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook, Hook, LoggerHook, ParamSchedulerHook
from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.declared.build import BuildFailure, Parts
from provecfg.proof.declared.problems import AVERAGE_OF_NOTHING, BACKEND_MISSING, HOOK_FAILS_AT_START

_START = (("before_run", 0), ("before_train", 0))
_BOUNDARY = (("before_train_epoch", 0), ("after_train_epoch", 0), ("before_train_epoch", 1))
"""Moments of mmengine's EpochBasedTrainLoop, and the epoch that it counts then, without the iterations between them."""
_STACK = frozenset({"mmengine", "mmcv", "mmseg", "mmdet", "provecfg"})
_OF_THE_CLOCK = (CheckpointHook, LoggerHook, ParamSchedulerHook)
"""Hooks whose every epoch that section lives through."""
_NEEDED = ("model", "train_cfg", "optim_wrapper", "train_dataloader")
"""Without these no run begins, so that a hook has nothing to look at."""
_MOST_OF_THE_WAY = 0.5
"""mmengine itself warns of a momentum above this (model/averaged_model.py, ExponentialMovingAverage)."""
_LATE = 10_000_000
"""Updates after which an average is past its warm-up."""


def started(parts: Parts) -> Iterator[Finding]:
    """What fails when the run of a built config begins.

    Args:
        parts: What was built. Its hooks are called; the files that they write are in the work dir.
    """
    if can_begin(parts):
        yield from _hooks_started(parts.runner, parts)
        yield from _backends_started(parts.runner, parts)


def can_begin(parts: Parts) -> bool:
    """Whether all is built that a run begins with."""
    runner = parts.runner
    return runner is not None and runner.built_train_loop is not None and not any(map(parts.failed, _NEEDED))


def _hooks_started(runner: Any, parts: Parts) -> Iterator[Finding]:
    failed: set[int] = set()
    loop = runner.built_train_loop
    moments = [*_START, *(_BOUNDARY if isinstance(loop, EpochBasedTrainLoop) else ())]
    # RuntimeInfoHook logs the config, whose formatting takes a second.
    with mock.patch.object(Config, "pretty_text", ""), _signals_kept():
        for moment, epoch in moments:
            loop._epoch = epoch
            for hook in runner.hooks:
                if id(hook) in failed or (moment.endswith("epoch") and isinstance(hook, _OF_THE_CLOCK)):
                    continue
                try:
                    getattr(hook, moment)(runner)
                except Exception as error:  # a class of the config's own may raise anything
                    failed.add(id(hook))
                    if _is_judged(hook):
                        key = parts.keys.get(id(hook), "custom_hooks")
                        message = BuildFailure(key, error).message
                        yield Finding(
                            HOOK_FAILS_AT_START,
                            f"{type(hook).__name__}.{moment} fails: {type(error).__name__}: {message}",
                            key,
                        )
    loop._epoch = 0
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and id(hook) not in failed:
            yield from _forgetful(hook, parts.keys.get(id(hook), "custom_hooks"))


def _is_judged(hook: Hook) -> bool:
    """Whether what a hook raises counts: a class of the user's may look at what is not there in a proof, and those of
    checkpoints, early stopping and loss weights are lived through by other sections, which say what they raise."""
    package = type(hook).__module__.partition(".")[0]
    return package in _STACK - {"provecfg"} and not isinstance(hook, (CheckpointHook, EarlyStoppingHook))


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """The process's handlers of signals as they were: a hook may listen to those that end a run."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where none can be set
        return
    kept = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in kept.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _forgetful(hook: Any, key: str) -> Iterator[Finding]:
    """An average that hardly averages: let the weights move, and see how far it follows."""
    share = _followed(hook.ema_model, hook.src_model)
    if share is not None and share > _MOST_OF_THE_WAY:
        yield Finding(
            AVERAGE_OF_NOTHING,
            f"with each update the average goes {share:.2%} of the way to the weights: it is those of the last step",
            f"{key}.momentum",
            hint="mmengine's momentum is the share of the new weights: 0.0002, where others write a decay of 0.9998",
        )


def _followed(average: Any, model: nn.Module) -> float | None:
    """The share of a change of the weights that an average takes over in one late update, or None."""
    source = next((parameter for parameter in model.parameters() if parameter.is_floating_point()), None)
    averaged = next((parameter for parameter in average.module.parameters() if parameter.is_floating_point()), None)
    if source is None or averaged is None or averaged.shape != source.shape:
        return None
    kept, steps = source.detach().clone(), average.steps.clone()
    averages = [parameter.detach().clone() for parameter in average.module.parameters()]
    with torch.no_grad():
        average.steps.fill_(_LATE * int(getattr(average, "interval", 1)))
        averaged.copy_(source)
        source.add_(1.0)
        average.update_parameters(model)
        share = float((averaged - kept).mean())
        source.copy_(kept)
        average.steps.copy_(steps)
        for parameter, before in zip(average.module.parameters(), averages, strict=True):
            parameter.copy_(before)
    return share


def _backends_started(runner: Any, parts: Parts) -> Iterator[Finding]:
    """Backends of the visualizer whose package is not there: they import it when the first number is logged."""
    backends: Mapping[str, Any] = getattr(runner.visualizer, "_vis_backends", None) or {}
    for backend in backends.values():
        cls = type(backend)
        begin = getattr(backend, "_init_env", None)
        if begin is None or cls.__module__.partition(".")[0] not in _STACK:
            continue
        try:
            with _importing_nothing_foreign({base.__module__ for base in cls.__mro__}):
                begin()
        except ImportError as error:
            key = next((path for path, (_, built) in parts.built.items() if built is cls), "visualizer")
            yield Finding(
                BACKEND_MISSING,
                f"{cls.__name__} needs a package that is not installed: {BuildFailure(key, error).message}",
                key,
                hint="install it, or leave the backend out of vis_backends",
            )
        except Exception:  # of what stands for the package: no word about the config
            continue


@contextlib.contextmanager
def _importing_nothing_foreign(modules: Collection[str]) -> Iterator[None]:
    """Let functions of some modules find out whether packages are there, and give them mocks: nothing is connected."""
    real = builtins.__import__

    def guarded(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> ModuleType:
        top = name.partition(".")[0]
        of_modules = (globals or {}).get("__name__") in modules
        if not of_modules or level or top in sys.stdlib_module_names or top in _STACK:
            return real(name, globals, locals, fromlist, level)
        if top == "torch":
            importlib.import_module(name)  # `torch.utils.tensorboard` is there, and needs another
        elif find_spec(top) is None:
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)
        return mock.MagicMock()

    with mock.patch.object(builtins, "__import__", guarded):
        yield
