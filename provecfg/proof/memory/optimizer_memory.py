"""What an optimizer keeps and takes, found by letting it step on a small parameter."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.registry import OPTIMIZERS
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from provecfg.proof.classes import class_of
from provecfg.proof.memory.allocation_log import AllocationLog
from provecfg.proof.memory.meta_values import tensors_in

_PARAMETERS, _EDGE = 32, 32
"""It steps on so many parameters of (edge, edge): each large beside the scalars that are kept for it, and small beside
all of them."""


@dataclass(frozen=True, slots=True)
class OptimizerMemory:
    """In bytes for each byte of the parameters that it trains.

    Args:
        state: Kept from step to step: 1 for SGD with momentum, 2 for Adam.
        temporary: Taken during a step.
    """

    state: float
    temporary: float


def optimizer_memory(config: Mapping[str, Any]) -> OptimizerMemory:
    """What an optimizer of this config keeps and takes.

    On a GPU it works on all parameters at once, unless the config says otherwise: `foreach`, which is tried here.

    Args:
        config: `type` and arguments, as in `optim_wrapper.optimizer`.

    Raises:
        Exception: Whatever its class raises.
    """
    parameters = [torch.nn.Parameter(torch.ones(_EDGE, _EDGE)) for _ in range(_PARAMETERS)]
    arguments = dict(config)
    cls = class_of(arguments, OPTIMIZERS)
    chosen = any(arguments.get(how) is not None for how in ("foreach", "fused"))
    if cls is not None and "foreach" in inspect.signature(cls).parameters and not chosen:
        arguments["foreach"] = True
    optimizer = OPTIMIZERS.build({**arguments, "params": parameters})
    log = AllocationLog()
    for _ in range(2):  # in its first step it makes its state
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        log = AllocationLog()
        with _UpdateDispatch(log):
            optimizer.step()
    trained = sum(parameter.nbytes for parameter in parameters)
    state = sum(
        value.nbytes
        for kept in optimizer.state.values()
        for value in kept.values()
        if isinstance(value, Tensor) and value.numel() > 1
    )
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    lasting = log.serials_of([*parameters, *gradients, *_tensors_of(optimizer)])
    temporary = sum(size for serial, size in log.peak().items() if serial not in lasting)
    return OptimizerMemory(state / trained, temporary / trained)


def _tensors_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value for kept in optimizer.state.values() for value in kept.values() if isinstance(value, Tensor)]


class _UpdateDispatch(TorchDispatchMode):
    def __init__(self, log: AllocationLog) -> None:
        super().__init__()
        self._log = log

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        for tensor in tensors_in(result):
            self._log.enter(tensor)
        return result
