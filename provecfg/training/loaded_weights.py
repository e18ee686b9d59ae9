"""What a checkpoint that training starts from leaves out, said aloud: mmengine's log has it among a hundred lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from provecfg.spelling import first_few

_SHOWN = 4


class LoadedWeightsHook(Hook):
    """Says which parts of the model a checkpoint has no weights for: of other classes, say, or of another model.

    Args:
        note: Takes a line of text for a person.
    """

    priority = "VERY_HIGH"

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare it with the model; that of a resumed run is the model's own."""
        if runner._resume:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = {
            name.removeprefix("module."): tensor
            for name, tensor in checkpoint.get("state_dict", checkpoint).items()
            if hasattr(tensor, "shape")
        }
        for line in left_out(model.state_dict(), weights):
            self._note(f"{runner._load_from}: {line}")


def left_out(model: Mapping[str, Any], weights: Mapping[str, Any]) -> Iterator[str]:
    """What of a model starts at random in spite of a checkpoint, a line each.

    Args:
        model: Name to tensor.
        weights: The checkpoint's.
    """
    apart = [name for name, tensor in model.items() if name in weights and weights[name].shape != tensor.shape]
    absent = list(dict.fromkeys(_part(name) for name in model if name not in weights))
    if not apart and not absent:
        return
    yield f"{sum(name in weights for name in model) - len(apart)} of {len(model)} tensors of the model are loaded"
    parts: dict[str, str] = {}
    for name in apart:
        parts.setdefault(_part(name), f"{_shape(weights[name])} there, {_shape(model[name])} here")
    for part, shapes in list(parts.items())[:_SHOWN]:
        yield f"{part} is dropped and starts at random: {shapes}"
    if len(parts) > _SHOWN:
        yield f"{len(parts) - _SHOWN} more parts are of other shapes, dropped, and start at random"
    if absent:
        yield f"not in it, and so at random: {first_few(absent, _SHOWN)}"


def _part(name: str) -> str:
    return name.rpartition(".")[0] or name


def _shape(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
