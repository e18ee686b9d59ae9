"""What a model computes in a training step and in a prediction, to be compared with another's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from provecfg.proof.built import Built
from provecfg.proof.data.sample_reader import own_randomness
from provecfg.proof.declared.predict_once import predict
from provecfg.proof.declared.small_config import SHRUNK, show_crop
from provecfg.proof.effect.settings import Setting
from provecfg.proof.step.batch import make_batch, plan_batch
from provecfg.proof.step.focal_on_cpu import focal_as_on_gpu
from provecfg.proof.step.training_step import TrainingStep, run_step
from provecfg.proof.subject import Subject

_OF_WEIGHTS = frozenset({"init_cfg", "pretrained"})
"""Keys of mmengine's `BaseModule` that decide the weights alone, which are the same in every trace."""
_NARROWER = 8
"""Pixels by which the second image is less wide, so that something is padded where the model pads."""


Trace = tuple[Any, ...]
"""A model's modules and parameters, a step's losses and the operations behind them, and a prediction."""


def is_hidden(setting: Setting) -> bool:
    """Whether what a setting decides is in no trace: weights, and sizes that are made small."""
    return bool({*_OF_WEIGHTS, *SHRUNK} & {step for step in setting.steps if isinstance(step, str)})


def traced(model: Any, subject: Subject, built: Built) -> Trace | None:
    """Let a model predict, and train a step.

    Args:
        model: As its registry built it.
        subject: The config.
        built: Its weights are taken, and its sizes.

    Returns:
        None where the model takes other weights, or fails.
    """
    weights: Any = built.model
    try:
        model = revert_sync_batchnorm(model).to(subject.device).float()
        model.load_state_dict(weights.state_dict())
        show_crop(model, built.crop)
        model.train()
        with own_randomness(), focal_as_on_gpu():
            predicted = predict(model, built.crop)
            plan = plan_batch(subject.config, model, built)
            narrower = (plan.sizes[-1][0], plan.sizes[-1][1] - _NARROWER)
            for sizes in ((*plan.sizes[:-1], narrower), plan.sizes):  # the second where nothing is padded
                batch = make_batch(replace(plan, sizes=sizes), built.transforms, with_ignored_image=False)
                step = run_step(model, batch, (), subject.config)
                if isinstance(step, TrainingStep):
                    return _structure(model), step.logged, _operations(step.total), _maps(predicted)
    except Exception:  # the config's own classes raise what they like
        return None
    return None


def _structure(model: nn.Module) -> tuple[Any, ...]:
    modules = [(name, type(module), module.training) for name, module in model.named_modules()]
    parameters = [(name, parameter.shape, parameter.requires_grad) for name, parameter in model.named_parameters()]
    return modules, parameters


def _operations(total: Tensor) -> list[str]:
    """The names of the operations that a total came from, which tell what recomputes from what keeps."""
    names, left, seen = [], [total.grad_fn], set()
    while left:
        operation = left.pop()
        if operation is None or operation in seen:
            continue
        seen.add(operation)
        names.append(operation.name())
        left += [following for following, _ in operation.next_functions]
    return names


def _maps(predicted: Any) -> list[Tensor]:
    return [value.data for sample in predicted for _, value in sample.items() if isinstance(value.data, torch.Tensor)]
