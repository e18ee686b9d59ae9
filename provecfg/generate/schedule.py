"""How a cell is trained: optimizer, learning rate, and the clock of iterations and validations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from provecfg.catalog.models import Model, Optimizer
from provecfg.study.schema import OptimizerSpec, Schedule, Study

_DEFAULT_VAL_INTERVAL = 5000  # the seed's eval_interval
_FEWEST_VALIDATIONS = 8  # patience 5 can stop a run of 8 validations, and one of 5 it cannot
_SHARE_OF_WARMUP = 10  # a shortened run warms up for a tenth at most


def val_interval(schedule: Schedule) -> int:
    """Iterations between validations."""
    if schedule.val_interval is not None:
        return schedule.val_interval
    return max(1, min(_DEFAULT_VAL_INTERVAL, schedule.max_iters // _FEWEST_VALIDATIONS))


def train_cfg(schedule: Schedule) -> dict[str, Any]:
    """The `train_cfg`."""
    return {"type": "IterBasedTrainLoop", "max_iters": schedule.max_iters, "val_interval": val_interval(schedule)}


def optim_wrapper(study: Study, model: Model) -> dict[str, Any]:
    """The `optim_wrapper`: the model's own, with what the study says in its place."""
    optimizer = _optimizer(model.optimizer, study.optimizer)
    wrapper: dict[str, Any] = {
        "type": "AmpOptimWrapper" if study.runtime.amp else "OptimWrapper",
        "optimizer": {"type": optimizer.type, **optimizer.arguments},
    }
    if study.runtime.amp:
        wrapper["loss_scale"] = "dynamic"
    if optimizer.clip_grad_norm is not None:
        wrapper["clip_grad"] = {"max_norm": optimizer.clip_grad_norm, "norm_type": 2}
    if optimizer.paramwise is not None:
        wrapper["paramwise_cfg"] = dict(optimizer.paramwise)
    return wrapper


def _optimizer(own: Optimizer, changes: OptimizerSpec) -> Optimizer:
    """The model's own optimizer, changed.

    Another type keeps the learning rate, the weight decay and the per-parameter factors, and drops the arguments that
    only the model's own type has (momentum, betas).
    """
    arguments = dict(own.arguments)
    if changes.type is not None and changes.type != own.type:
        arguments = {key: arguments[key] for key in ("lr", "weight_decay")}
        if changes.type == "SGD":
            arguments["momentum"] = 0.9  # _base_/schedules/schedule_80k.py
    if changes.lr is not None:
        arguments["lr"] = changes.lr
    if changes.weight_decay is not None:
        arguments["weight_decay"] = changes.weight_decay
    return dataclasses.replace(
        own,
        type=changes.type or own.type,
        arguments=arguments,
        clip_grad_norm=changes.clip_grad_norm or own.clip_grad_norm,
    )


def param_scheduler(schedule: Schedule, model: Model) -> list[dict[str, Any]]:
    """The `param_scheduler`: a warmup where there is one, then a decay to the end of the run."""
    return list(_schedulers(model, _warmup_iters(schedule, model), schedule.max_iters))


def _warmup_iters(schedule: Schedule, model: Model) -> int:
    if schedule.warmup_iters is not None:
        return schedule.warmup_iters
    iters = min(model.learning_rate.warmup_iters, schedule.max_iters // _SHARE_OF_WARMUP)
    return iters if iters > 1 else 0  # mmengine's warmup of a single iteration never ends


def _schedulers(model: Model, warmup_iters: int, max_iters: int) -> Iterator[dict[str, Any]]:
    rate = model.learning_rate
    if warmup_iters:
        yield {
            "type": "LinearLR",
            "start_factor": rate.warmup_start_factor,
            "begin": 0,
            "end": warmup_iters,
            "by_epoch": False,
        }
    yield {
        "type": "PolyLR",
        "eta_min": rate.eta_min,
        "power": rate.power,
        "begin": warmup_iters,
        "end": max_iters,
        "by_epoch": False,
    }
