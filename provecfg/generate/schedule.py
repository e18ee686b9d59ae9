"""How a cell is trained: optimizer, learning rate, and the clock of iterations and validations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from provecfg.registry import registry_for
from provecfg.study.bases import Base
from provecfg.study.recipe import Cosine, Decay, OptimizerSpec, Plateau, Poly, Runtime, Schedule, Step
from provecfg.study.schema import Study

_DEFAULT_VAL_INTERVAL = 5000  # the seed's eval_interval, in iterations
_FEWEST_VALIDATIONS = 8  # patience 5 can stop a run of 8 validations, and one of 5 it cannot
_SHARE_OF_WARMUP = 10  # a shortened run warms up for a tenth at most
_POINTS = ("begin", "end")
"""Arguments of mmengine's schedulers that are points of the run."""
_LENGTHS = ("T_max", "step_size", "total_steps", "total_iters")
"""Those that count the scheduler's own steps, as its `milestones` do: from its `begin`."""
_WARMUP_START = 1e-6  # segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py


def val_interval(schedule: Schedule) -> int:
    """Iterations (or epochs) between validations."""
    if schedule.val_interval is not None:
        return schedule.val_interval
    interval = schedule.length // _FEWEST_VALIDATIONS
    return max(1, interval if schedule.by_epoch else min(_DEFAULT_VAL_INTERVAL, interval))


def train_cfg(schedule: Schedule) -> dict[str, Any]:
    """The `train_cfg`."""
    interval = val_interval(schedule)
    if schedule.max_epochs is not None:
        return {"type": "EpochBasedTrainLoop", "max_epochs": schedule.max_epochs, "val_interval": interval}
    return {"type": "IterBasedTrainLoop", "max_iters": schedule.max_iters, "val_interval": interval}


def optim_wrapper(study: Study, base: Base) -> dict[str, Any]:
    """The `optim_wrapper`: the base's own, with what the study says in its place."""
    changes, runtime = study.optimizer, study.runtime
    own = {key: value for key, value in copy.deepcopy(base.optim_wrapper).items() if value is not None}
    clip, accumulate = own.pop("clip_grad", None), own.pop("accumulative_counts", None)
    optimizer = _optimizer(own.pop("optimizer"), changes)
    wrapper: dict[str, Any] = {"type": "AmpOptimWrapper" if runtime.amp else "OptimWrapper", "optimizer": optimizer}
    if runtime.amp:
        wrapper |= _precision(runtime)
    if changes.clip_grad_norm is not None:
        clip = {"max_norm": changes.clip_grad_norm, "norm_type": 2}
    if clip is not None:
        wrapper["clip_grad"] = clip
    accumulate = changes.accumulate or accumulate
    if accumulate is not None:
        wrapper["accumulative_counts"] = accumulate
    if optimizer.get("weight_decay") is None and "paramwise_cfg" in own:
        own["paramwise_cfg"] = _without_decay(own["paramwise_cfg"])
    return wrapper | {key: value for key, value in own.items() if key not in ("type", "loss_scale", "dtype")}


def auto_scale_lr(changes: OptimizerSpec) -> dict[str, Any] | None:
    """mmengine's key that scales the learning rate to the real batch size, where that was asked for."""
    return None if changes.scale_lr_from is None else {"enable": True, "base_batch_size": changes.scale_lr_from}


def _precision(runtime: Runtime) -> dict[str, Any]:
    if runtime.amp_dtype == "bfloat16":  # has float32's range, so that no gradient has to be scaled
        return {"dtype": "bfloat16", "loss_scale": 1.0}
    return {"loss_scale": "dynamic"}


def _optimizer(own: dict[str, Any], changes: OptimizerSpec) -> dict[str, Any]:
    """The base's own optimizer, changed.

    Another type keeps the learning rate, the weight decay where it takes one, and the per-parameter factors, and drops
    the arguments that only the base's own type has (momentum, betas).
    """
    optimizer = dict(own)
    if changes.type is not None and changes.type != own.get("type"):
        optimizer = {"type": changes.type, **{key: own[key] for key in ("lr", "weight_decay") if key in own}}
        info = registry_for().find(changes.type, "optimizer")
        if info is not None and info.refuses("weight_decay"):
            optimizer.pop("weight_decay", None)
        if changes.type == "SGD":
            optimizer["momentum"] = 0.9  # _base_/schedules/schedule_80k.py
    if changes.lr is not None:
        optimizer["lr"] = changes.lr
    if changes.weight_decay is not None:
        optimizer["weight_decay"] = changes.weight_decay
    return optimizer | changes.arguments


def _without_decay(factors: dict[str, Any]) -> dict[str, Any]:
    """Per-parameter factors without those of a weight decay: mmengine refuses them where there is none to multiply.

    A key of `custom_keys` stays when its factor goes, since it keeps its parameters from shorter keys.
    """
    kept = {key: value for key, value in factors.items() if not key.endswith("decay_mult")}
    if "custom_keys" in kept:
        kept["custom_keys"] = {key: _without_decay(own) for key, own in kept["custom_keys"].items()}
    return kept


def param_scheduler(study: Study, base: Base) -> list[dict[str, Any]]:
    """The `param_scheduler`: a warmup where there is one, then the decay to the end of the run."""
    schedule = study.schedule
    own = [entry for entry in base.param_scheduler if not _is_warmup(entry, base.param_scheduler)]
    warmup = next((entry for entry in base.param_scheduler if _is_warmup(entry, base.param_scheduler)), None)
    iters = _warmup_iters(schedule, warmup)
    schedulers = []
    if iters:
        before = (
            {}
            if warmup is None
            else {key: value for key, value in warmup.items() if key not in ("begin", "end", "by_epoch")}
        )
        first = {"type": "LinearLR", "start_factor": _WARMUP_START, **before, "begin": 0, "end": iters}
        schedulers.append({**first, "by_epoch": False})
    begin = 0 if schedule.by_epoch else iters
    if schedule.decay is None:
        return [*schedulers, *_stretched(own, schedule, begin)]
    return [*schedulers, *_decay(schedule.decay, study, begin)]


def _is_warmup(entry: dict[str, Any], schedulers: list[dict[str, Any]]) -> bool:
    """Whether a scheduler of several is the rise that training begins with."""
    return len(schedulers) > 1 and entry is schedulers[0] and entry.get("type") == "LinearLR"


def _warmup_iters(schedule: Schedule, warmup: dict[str, Any] | None) -> int:
    if schedule.warmup_iters is not None:
        return schedule.warmup_iters
    own = 0 if warmup is None or warmup.get("by_epoch", True) else int(warmup.get("end", 0))
    iters = own if schedule.by_epoch else min(own, schedule.max_iters // _SHARE_OF_WARMUP)
    return iters if iters > 1 else 0  # mmengine's warmup of a single iteration never ends


def _stretched(own: list[dict[str, Any]], schedule: Schedule, begin: int) -> Iterator[dict[str, Any]]:
    """The base's schedulers after its warmup, their end at the end of this run."""
    start = min((entry.get("begin", 0) for entry in own), default=0)
    ends = [entry.get("end") or max(entry.get("milestones", [0])) for entry in own]
    before, now = max(ends, default=0) - start, schedule.length - begin

    def shortened(steps: Any) -> Any:
        return round(steps * now / before) if isinstance(steps, int) and before > 0 else steps

    def moved(position: Any) -> Any:
        return begin + shortened(position - start) if isinstance(position, int) and before > 0 else position

    for entry in own:
        made = {key: value for key, value in entry.items() if key not in ("by_epoch", "convert_to_iter_based")}
        for key in _POINTS:
            if key in made:
                made[key] = moved(made[key])
        for key in _LENGTHS:
            if key in made:
                made[key] = shortened(made[key])
        if "milestones" in made:
            made["milestones"] = [shortened(milestone) for milestone in made["milestones"]]
        yield _timed(made, schedule)


def _decay(decay: Decay, study: Study, begin: int) -> Iterator[dict[str, Any]]:
    schedule = study.schedule
    end = schedule.length
    if isinstance(decay, Poly):
        yield _timed(
            {"type": "PolyLR", "eta_min": decay.eta_min, "power": decay.power, "begin": begin, "end": end}, schedule
        )
    elif isinstance(decay, Cosine):
        yield _timed({"type": "CosineAnnealingLR", "eta_min": decay.eta_min, "begin": begin, "end": end}, schedule)
    elif isinstance(decay, Step):
        # mmengine counts them from the scheduler's `begin`, and shares are of the whole run
        milestones = [max(0, round(share * end) - begin) for share in decay.milestones]
        made = {"type": "MultiStepLR", "milestones": milestones, "gamma": decay.gamma, "begin": begin, "end": end}
        yield _timed(made, schedule)
    elif isinstance(decay, Plateau):
        stopping = study.early_stopping
        yield {  # steps at each validation, whatever the loop counts in
            "type": "ReduceOnPlateauLR",
            "monitor": stopping.monitor if stopping else "val/mIoU",
            "rule": "greater",
            "factor": decay.factor,
            "patience": decay.patience,
        }


def _timed(scheduler: dict[str, Any], schedule: Schedule) -> dict[str, Any]:
    """A scheduler that counts as the loop does; by epoch, its rate still moves at every iteration."""
    if schedule.by_epoch:
        return {**scheduler, "by_epoch": True, "convert_to_iter_based": True}
    return {**scheduler, "by_epoch": False}
