"""The losses that a config declares, and the built modules that they became."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmseg.registry import MODELS
from torch import nn

from provecfg.proof.classes import class_of
from provecfg.proof.step.config_paths import dicts_of, key_of_module, module_at, steps_of

_SHORT_NAMES = {"ce": "CE", "bce": "BCE"}
_SHORT_HEADS = (("decode_head", "decode"), ("auxiliary_head", "auxiliary"))


@dataclass(slots=True)
class DeclaredLoss:
    """A loss as the config has it.

    Args:
        key: Dotted path: `model.decode_head.loss_decode[1]`.
        head: Short name of the head that has it: `decode`, `auxiliary`, `auxiliary[1]`.
        name: Short name of it: `CE`, `dice`.
        config: Its dict; of a loss that a head has by default, and the config does not have, an empty one.
        module: What was built from it, or None where nothing at its place in the model is a module.
        weight: Declared; of a schedule that changes it, in iteration 0.
        is_scheduled: Whether a hook changes the weight over the run.
    """

    key: str
    head: str
    name: str
    config: dict[str, Any]
    module: nn.Module | None
    weight: Any
    is_scheduled: bool = False

    @property
    def title(self) -> str:
        """As in the equation."""
        return f"{self.name}[{self.head}]"

    @property
    def head_key(self) -> str:
        """Dotted path of the part of the model that has it."""
        return head_key_of(self.key)

    @property
    def has_usable_weight(self) -> bool:
        """Whether the declared weight is a number."""
        return isinstance(self.weight, (int, float)) and not isinstance(self.weight, bool)


def head_key_of(key: str) -> str:
    """The path of what holds the loss at `key`: the path up to the step that names the loss."""
    return re.sub(r"\.[^.]+$", "", key)


def declared_losses(config: Any, model: nn.Module) -> list[DeclaredLoss]:
    """Every loss that the config declares in its model, in its order, then those that its heads have by default."""
    losses = [_declared(key, part, module_at(model, key)) for key, part in _loss_dicts(config.get("model"), "model")]
    matched = {id(module) for loss in losses if loss.module is not None for module in loss.module.modules()}
    for name, module in _loss_modules(model):
        if id(module) in matched:
            continue
        key = key_of_module(config, name)
        unbuilt = next((loss for loss in losses if loss.module is None and _is_of(loss, key, module)), None)
        if unbuilt is not None:  # it stands in another place of the model than of the config
            unbuilt.module = module
        else:
            losses.append(_by_default(name, module))
        matched |= {id(part) for part in module.modules()}
    _apply_schedules(config, losses)
    return _with_names_of_their_own(losses)


def _loss_dicts(node: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Dicts with a `type` that stand under a key with `loss` in it, outermost ones alone."""
    taken: list[str] = []
    for path, part in dicts_of(node, key):
        step = next((step for step in reversed(steps_of(path)) if isinstance(step, str)), "")
        if "loss" in step and "type" in part and not any(path.startswith(f"{outer}.") for outer in taken):
            taken.append(path)
            yield path, part


def _declared(key: str, part: dict[str, Any], module: nn.Module | None) -> DeclaredLoss:
    kind = part.get("type")
    weight = part.get("loss_weight", getattr(module, "loss_weight", 1.0))
    name = part.get("loss_name") or getattr(module, "loss_name", None)
    step = next(step for step in reversed(steps_of(key)) if isinstance(step, str))
    if not isinstance(name, str):
        name = step if step != "loss_decode" else str(kind)
    return DeclaredLoss(key, _head_name(key), _short(name), part, module, weight)


def _by_default(name: str, module: nn.Module) -> DeclaredLoss:
    key = "model." + re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", name)
    loss_name = getattr(module, "loss_name", None)
    short = loss_name if isinstance(loss_name, str) else name.rpartition(".")[2]
    return DeclaredLoss(key, _head_name(key), _short(short), {}, module, getattr(module, "loss_weight", 1.0))


def _short(name: str) -> str:
    short = re.sub(r"^loss_|_loss$", "", name) or name
    return _SHORT_NAMES.get(short, short)


def _head_name(key: str) -> str:
    name = head_key_of(key).removeprefix("model.")
    for long, short in _SHORT_HEADS:
        name = re.sub(rf"^{long}(?=$|\.|\[)", short, name)
    return name


def _is_of(loss: DeclaredLoss, key: str, module: nn.Module) -> bool:
    """Whether a module in or around `key` may be what an unbuilt loss of the same head became."""
    return type(module) is class_of(loss.config, MODELS) and (
        key.startswith(loss.head_key) or loss.head_key.startswith(key)
    )


def _loss_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The model's losses, outermost ones alone: what a package of losses defines, or an attribute named for one."""
    inside: list[str] = []
    for name, module in model.named_modules():
        if not name or any(name.startswith(f"{outer}.") for outer in inside):
            continue
        in_package = ".losses" in type(module).__module__
        named = hasattr(module, "loss_name") or "loss" in re.sub(r"\.\d+$", "", name).rpartition(".")[2]
        if isinstance(module, nn.ModuleList) or not (in_package or (named and not any(module.parameters()))):
            continue
        inside.append(name)
        yield name, module


def _with_names_of_their_own(losses: list[DeclaredLoss]) -> list[DeclaredLoss]:
    """Number losses of one head that have the same name, for the equation."""
    for loss in losses:
        alike = [other for other in losses if (other.head, other.name) == (loss.head, loss.name)]
        kinds = {str(other.config.get("type")) for other in alike}
        for number, other in enumerate(alike, 1):
            if len(kinds) == len(alike) > 1:
                other.name = str(other.config.get("type"))
            elif len(alike) > 1:
                other.name = f"{other.name}#{number}"
    return losses


def _apply_schedules(config: Any, losses: list[DeclaredLoss]) -> None:
    """Put the weight of iteration 0 in the place of the declared one, where a `LossWeightScheduleHook` sets it."""
    for hook in config.get("custom_hooks") or ():
        kind = hook.get("type") if isinstance(hook, dict) else None
        if getattr(kind, "__name__", str(kind)).rpartition(".")[2] != "LossWeightScheduleHook":
            continue
        for schedule in hook.get("schedules") or ():
            for loss in losses:
                if _is_scheduled(schedule, loss):
                    weight = _weight_at_start(schedule)
                    if weight is not None:
                        loss.weight, loss.is_scheduled = weight, True


def _is_scheduled(schedule: Any, loss: DeclaredLoss) -> bool:
    step = next(step for step in reversed(steps_of(loss.key)) if isinstance(step, str))
    names = {getattr(loss.module, "loss_name", None), loss.config.get("loss_name"), step}
    return f"model.{schedule.get('head')}" == loss.head_key and schedule.get("loss_name") in names


def _weight_at_start(schedule: Any) -> float | None:
    """The weight in iteration 0: before a ramp or the first milestone the first value holds."""
    kind = schedule.get("kind")
    if kind == "constant":
        return schedule.get("value")
    if kind in ("linear", "cosine"):
        return schedule.get("start")
    if kind == "steps":
        values, milestones = schedule.get("values") or [None], schedule.get("milestones") or []
        return values[sum(milestone <= 0 for milestone in milestones)]
    return None
