"""One training step of the real model, watched: which losses were called, with what, and what came of it."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from provecfg.proof.step.config_paths import key_of_module
from provecfg.proof.step.declared_losses import DeclaredLoss


@dataclass(slots=True)
class LossCall:
    """One call of a loss in a step.

    Args:
        loss: Which.
        args: Of the call.
        kwargs: Likewise.
        value: What it returned, part of the step's graph.
    """

    loss: DeclaredLoss
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    value: Tensor


@dataclass(slots=True)
class TrainingStep:
    """What a step computed.

    Args:
        total: What mmengine's optimizer wrapper is handed: ().
        logged: The model's losses and the rest of what it logs, by log key, each reduced to () as for the log.
        calls: Of the losses, in order.
        features: What the backbone put out; empty where the model has none that can be watched.
    """

    total: Tensor
    logged: dict[str, Tensor]
    calls: list[LossCall]
    features: list[Tensor] = field(default_factory=list)

    def calls_of(self, loss: DeclaredLoss) -> list[LossCall]:
        """The calls of one loss."""
        return [call for call in self.calls if call.loss is loss]


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A step that raised an error.

    Args:
        error: Which.
        key: Dotted path in the config of the innermost part of the model that it came through.
        module: The name of that part in the model.
    """

    error: Exception
    key: str
    module: str

    @property
    def message(self) -> str:
        """The error on one line."""
        lines = [line.strip() for line in str(self.error).splitlines() if line.strip()]
        last = traceback.extract_tb(self.error.__traceback__)[-1]
        text = lines[0] if lines else last.line or "without a message"
        return f"{type(self.error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"

    @property
    def needs_what_is_missing(self) -> bool:
        """Whether this machine, not the config, is at fault: an operator is not compiled, or not for this device."""
        # By name: the stand-in's class may be imported twice.
        missing = type(self.error).__name__ == "MissingOpError" or isinstance(self.error, NotImplementedError)
        text = str(self.error)
        return missing or "not implemented for 'BFloat16'" in text or "compiled with GPU support" in text


def run_step(
    model: Any, batch: Mapping[str, Any], losses: Sequence[DeclaredLoss], config: Any, *, seed: int = 0
) -> TrainingStep | StepFailure:
    """Compute the losses of a batch as `train_step` does, without changing a weight.

    Args:
        model: A segmentor, in training mode.
        batch: As the data loader gives it; it is copied by the model's own preprocessor.
        losses: Whose calls are watched.
        config: Of the model, for the path of a failure.
        seed: Of dropout and whatever else draws.
    """
    torch.manual_seed(seed)
    calls: list[LossCall] = []
    features: list[Tensor] = []
    with _watching(model, losses, calls, features):
        try:
            data = model.data_preprocessor(dict(batch), True)
            logged = model(**data, mode="loss") if isinstance(data, dict) else model(*data, mode="loss")
            total, log = model.parse_losses(logged)
        except Exception as error:  # any part of the config's classes may fail in any way
            return _failure(error, model, config)
    # From the model's own dict, since the log of a distributed run is detached.
    values = {key: _reduced(value) for key, value in logged.items()} if isinstance(logged, dict) else dict(log)
    # Where no key has `loss` in it, the sum of nothing is the integer 0.
    return TrainingStep(torch.as_tensor(total, dtype=torch.float32), values, calls, features)


def _reduced(value: Any) -> Tensor:
    """As mmengine's `parse_losses` reduces what a model returns."""
    if isinstance(value, Tensor):
        return value.mean()
    return torch.stack([part.mean() for part in value]).sum()


@contextlib.contextmanager
def _watching(
    model: nn.Module, losses: Sequence[DeclaredLoss], calls: list[LossCall], features: list[Tensor]
) -> Iterator[None]:
    handles = []
    for loss in losses:
        if loss.module is not None:
            handles.append(loss.module.register_forward_hook(_recorder(loss, calls), with_kwargs=True))
    backbone = getattr(model, "backbone", None)
    if isinstance(backbone, nn.Module):

        def keep(module: nn.Module, args: Any, output: Any) -> None:
            features.extend(tensor for tensor in _tensors(output) if tensor.requires_grad)

        handles.append(backbone.register_forward_hook(keep))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _recorder(loss: DeclaredLoss, calls: list[LossCall]) -> Callable[..., Any]:
    def record(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        # Samplers of hard pixels ask losses without gradients.
        if not torch.is_grad_enabled() or not isinstance(output, Tensor):
            return None
        calls.append(LossCall(loss, args, kwargs, output))
        # A head adds the next loss of the same name in place: to the copy, so that this value stays what it was.
        return output.clone()

    return record


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _failure(error: Exception, model: nn.Module, config: Any) -> StepFailure:
    names = {id(module): name for name, module in model.named_modules()}
    innermost = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if id(owner) in names:
            innermost = names[id(owner)]
        elif id(context := getattr(owner, "context", None)) in names:  # a sampler of pixels knows its head
            innermost = f"{names[id(context)]}.sampler"
    return StepFailure(error, key_of_module(config, innermost), innermost)
