"""What a loss does with predictions whose truth is known: watched on the real module, as the head calls it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from provecfg.proof.classes import class_of
from provecfg.proof.step.training_step import LossCall

_SIDE = 32
"""Pixels of a probe's sides."""
_FEW = 8
"""The same, where all pixels are alike."""
_SURE = 8.0
"""Logit of a prediction that is as good as certain."""


@dataclass(slots=True)
class LossProbe:
    """A loss that takes logits of classes for each pixel, and labels: as most losses of heads do.

    Args:
        call: In the step that was watched.
        channels: Of the logits.
        labels: How many labels the channels stand for: 2 for one channel.
        ignore_index: That it was called with, or its head's.
    """

    call: LossCall
    channels: int
    labels: int
    ignore_index: int

    @property
    def trained_labels(self) -> list[int]:
        """The labels that are not ignored."""
        return [label for label in range(self.labels) if label != self.ignore_index]

    def value(self, logits: Tensor, labels: Tensor, module: nn.Module | None = None) -> Tensor:
        """The loss of (N, C, H, W) logits for (N, H, W) labels, reduced as for the log."""
        kwargs = {name: None if name == "weight" else value for name, value in self.call.kwargs.items()}
        loss: Any = module or self.call.loss.module
        value: Tensor = loss(logits, labels, **kwargs)
        return value.mean()

    def logits_for(self, labels: Tensor) -> Tensor:
        """Logits that say these labels, as good as certainly: (N, H, W) to (N, C, H, W)."""
        if self.channels == 1:
            return ((labels == 1).float() * 2 - 1).unsqueeze(1) * _SURE
        hot = torch.nn.functional.one_hot(labels.clamp(0, self.channels - 1), self.channels)
        return (hot.movedim(-1, 1).float() * 2 - 1) * _SURE

    def fields(self) -> Tensor:
        """(2, H, W) labels: all that are trained on, in fields side by side."""
        trained = torch.tensor(self.trained_labels)
        across = math.ceil(math.sqrt(len(trained)))
        field = torch.arange(_SIDE) * across // _SIDE
        labels = trained[(field[:, None] * across + field[None, :]) % len(trained)]
        return torch.stack([labels, labels.flip(1)])

    def wrong(self, labels: Tensor) -> Tensor:
        """For each label another one that is trained on."""
        trained = self.trained_labels
        table = torch.arange(self.labels)
        table[trained] = torch.tensor([*trained[1:], trained[0]])
        return table[labels]


def probe_of(call: LossCall, head: nn.Module | None) -> LossProbe | None:
    """A probe of the loss of a call, or None where it takes something else than logits and labels of pixels."""
    if len(call.args) != 2 or call.loss.module is None:
        return None
    logits, labels = call.args
    if not isinstance(logits, Tensor) or logits.dim() != 4 or not logits.is_floating_point():
        return None
    if (
        not isinstance(labels, Tensor)
        or labels.shape != (logits.shape[0], *logits.shape[2:])
        or labels.is_floating_point()
    ):
        return None
    if any(isinstance(value, Tensor) and name != "weight" for name, value in call.kwargs.items()):
        return None
    channels = logits.shape[1]
    ignore_index = call.kwargs.get("ignore_index", getattr(head, "ignore_index", 255))
    if not isinstance(ignore_index, int):
        return None
    probe = LossProbe(call, channels, 2 if channels == 1 else channels, ignore_index)
    return probe if len(probe.trained_labels) > 1 and probe.labels <= _SIDE**2 else None


def prefers_wrong(probe: LossProbe) -> tuple[float, float] | None:
    """The loss of the correct and of a wrong prediction, where the wrong one is lower.

    And where, from a prediction that is undecided, every label is pushed away from: a loss may lose its sense in
    another way (mmseg's `HuasdorffDisstanceLoss` compares probabilities with label numbers, which for more than two
    classes makes no sense at all), and still not be the wrong way round.
    """
    labels = probe.fields()
    with torch.no_grad():
        correct = float(probe.value(probe.logits_for(labels), labels))
        wrong = float(probe.value(probe.logits_for(probe.wrong(labels)), labels))
    if correct - wrong <= 1e-4 * max(abs(correct), abs(wrong)):
        return None
    logits = torch.zeros(2, probe.channels, _SIDE, _SIDE, requires_grad=True)
    (gradient,) = torch.autograd.grad(probe.value(logits, labels), logits)
    if probe.channels == 1:
        towards = gradient[:, 0] * (labels * 2 - 1)
    else:
        towards = gradient.gather(1, labels.unsqueeze(1))[:, 0]
    away = all(float(towards[labels == label].mean()) > 0 for label in labels.unique())
    return (correct, wrong) if away else None


def learns_from(probe: LossProbe, label: int) -> bool:
    """Whether pixels of a label, well inside an area of it, get a gradient."""
    labels = probe.fields()
    labels[..., _SIDE // 2 :] = label
    inside = (..., slice(None), slice(_SIDE * 3 // 4, None))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, probe.channels, _SIDE, _SIDE, generator=generator).requires_grad_()
    value = probe.value(logits, labels)
    if not value.requires_grad:
        return False
    gradient: Tensor | None = torch.autograd.grad(value, logits, allow_unused=True)[0]
    if gradient is None:
        return False
    outside = gradient[..., :, : _SIDE // 4].abs().max()
    return bool(gradient[inside].abs().max() > 1e-4 * outside)


def untrained_labels(probe: LossProbe) -> set[int]:
    """Labels that the loss does not answer to: a wrong prediction for them has no gradient."""
    untrained = set()
    for label in range(probe.labels):
        labels = torch.full((2, _FEW, _FEW), label)
        generator = torch.Generator().manual_seed(label)
        logits = torch.randn(2, probe.channels, _FEW, _FEW, generator=generator).requires_grad_()
        value = probe.value(logits, labels)
        gradient = None
        if value.requires_grad:
            (gradient,) = torch.autograd.grad(value, logits, allow_unused=True)
        if gradient is None or not bool((gradient != 0).any()):
            untrained.add(label)
    return untrained


def reads_by_softmax(probe: LossProbe, module: nn.Module | None = None) -> bool | None:
    """Whether the loss stays the same when all logits of a pixel grow alike; None for one channel."""
    if probe.channels == 1:
        return None
    labels = probe.fields()
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, probe.channels, _SIDE, _SIDE, generator=generator)
    shift = torch.randn(2, 1, _SIDE, _SIDE, generator=generator) * 3
    with torch.no_grad():
        plain, shifted = (float(probe.value(shown, labels, module)) for shown in (logits, logits + shift))
    return abs(plain - shifted) <= 1e-4 * max(abs(plain), abs(shifted), 1e-6)


def falls_with_ignored_share(probe: LossProbe, module: nn.Module | None = None) -> bool:
    """Whether the same predictions cost less when more of the image is ignored."""
    labels = probe.fields()
    logits = torch.zeros(2, probe.channels, _SIDE, _SIDE)  # every pixel costs the same
    half = labels.clone()
    half[..., _SIDE // 2 :] = probe.ignore_index
    with torch.no_grad():
        whole, rest = (float(probe.value(logits, truth, module)) for truth in (labels, half))
    return rest < 0.75 * whole


def grows_with_pixels(probe: LossProbe) -> bool:
    """Whether four times as many pixels cost more than twice as much."""
    labels = probe.fields()
    logits = torch.randn(2, probe.channels, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        once = float(probe.value(logits, labels))
        often = float(probe.value(logits.repeat(4, 1, 1, 1), labels.repeat(4, 1, 1)))
    return abs(often) > 2 * abs(once)


def rebuilt_with(config: dict[str, Any], **changes: Any) -> nn.Module | None:
    """The loss built again with other settings, or None where its class does not take them."""
    cls = class_of(config, MODELS)
    if cls is None or not set(changes) <= set(inspect.signature(cls).parameters):
        return None
    try:
        return MODELS.build({**config, **changes})
    except Exception:  # it refuses them: that is the answer
        return None


def tried(question: Callable[..., Any], *args: Any) -> Any:
    """The answer, or None where the loss cannot be asked: it may not take what a probe gives it."""
    try:
        return question(*args)
    except Exception:
        return None
