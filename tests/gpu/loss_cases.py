"""Every loss of the plugin with what it is measured against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import mmseg.models.losses as theirs
import torch
from mmseg.registry import MODELS
from mmseg.structures import OHEMPixelSampler
from torch import Tensor

from provecfg.plugin import losses as ours
from provecfg.plugin.losses.distance_maps import signed_distance_maps
from provecfg.plugin.samplers import HardPixelSampler
from tests.gpu import plain_losses as plain
from tests.gpu.scene import IGNORED, Scene

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LossCase:
    """A loss in three ways, each called with logits (N, C, H, W) and labels (N, H, W).

    Args:
        own: The plugin's.
        plain: From its formula, by autograd; None where it would be another's but for a constant.
        mmseg: mmseg's own, or None where it has none of its kind. Its Dice and its hard pixels are computed otherwise:
            they are there for their cost.
        waits: Whether the plugin's has to wait for the device, by what it computes.
    """

    own: LossFunction
    plain: LossFunction | None
    mmseg: LossFunction | None = None
    waits: bool = False


def loss_cases(scene: Scene, device: str) -> dict[str, LossCase]:
    """The cases by name, for scenes of this one's size, with constants on a device.

    Args:
        scene: Its labels are those that distance maps and thresholds are made for; on any device.
        device: Where the losses will be called.
    """
    classes = scene.logits.shape[1]
    ramp = [0.5 + c / classes for c in range(classes)]
    few = sorted({0, classes // 2, classes - 1})
    labels = scene.labels.cpu()
    valid = labels != IGNORED
    maps = signed_distance_maps(labels.where(valid, 0), valid, classes, tuple(range(classes))).to(device)
    kept = max(1, labels[0].numel() // 4)
    distance = ours.DistanceBoundaryLoss()
    multi_scale = MODELS.build({"type": "MultiScaleLoss", "loss": {"type": "SegCrossEntropyLoss"}})
    return {
        "CE": LossCase(
            _called(ours.SegCrossEntropyLoss()),
            plain.cross_entropy,
            _called(theirs.CrossEntropyLoss(avg_non_ignore=True)),
        ),
        "CE, smoothing and class weights": LossCase(
            _called(ours.SegCrossEntropyLoss(ramp, 0.1)), plain.SmoothedCrossEntropy(ramp, 0.1, device)
        ),
        "focal": LossCase(_called(ours.SoftmaxFocalLoss()), plain.focal),
        "focal, alpha a class": LossCase(_called(ours.SoftmaxFocalLoss(alpha=ramp)), None),
        "boundary-aware focal": LossCase(_called(ours.BoundaryAwareFocalLoss()), plain.BoundaryFocal(device)),
        "Dice": LossCase(
            _called(ours.SegDiceLoss()),
            plain.dice,
            _called(theirs.DiceLoss(use_sigmoid=False)),
        ),
        "Dice, some classes": LossCase(_called(ours.SegDiceLoss(classes=few)), None),
        "Lovasz, per image": LossCase(
            _called(ours.SegLovaszLoss()),
            plain.Lovasz(per_image=True),
            _called(theirs.LovaszLoss(classes="all", per_image=True)),
        ),
        "Lovasz, present, batch": LossCase(
            _called(ours.SegLovaszLoss(classes="present", per_image=False)),
            plain.Lovasz(per_image=False),
            _called(theirs.LovaszLoss(classes="present", per_image=False, reduction="none")),
        ),
        "boundary": LossCase(_called(ours.SegBoundaryLoss()), plain.Boundary(device, per_class=False)),
        "boundary, per class": LossCase(
            _called(ours.SegBoundaryLoss(per_class=True)), plain.Boundary(device, per_class=True)
        ),
        "distance boundary, maps given": LossCase(
            lambda logits, labels: distance(logits, labels, ignore_index=IGNORED, distance_maps=maps),
            plain.DistanceBoundary(maps),
        ),
        "distance boundary, maps made": LossCase(_called(distance), None, waits=True),
        "multi-scale CE": LossCase(_called(multi_scale), plain.multi_scale_cross_entropy),
        "OHEM CE": LossCase(
            _on_hard_pixels(ours.SegCrossEntropyLoss(), HardPixelSampler, kept),
            plain.HardPixels(0.7, kept),
            _on_hard_pixels(theirs.CrossEntropyLoss(avg_non_ignore=True), OHEMPixelSampler, kept),
        ),
    }


def value_and_gradient(loss: LossFunction, scene: Scene) -> tuple[Tensor, Tensor]:
    """A loss, and its gradient by the logits."""
    leaf = scene.logits.detach().clone().requires_grad_()
    value = loss(leaf, scene.labels)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def step_of(loss: LossFunction, scene: Scene) -> Callable[[], None]:
    """Forward and backward, as often as it is called."""
    leaf = scene.logits.detach().requires_grad_()

    def step() -> None:
        leaf.grad = None
        loss(leaf, scene.labels).backward()

    return step


def _called(loss: torch.nn.Module) -> LossFunction:
    """A loss as a decode head calls it."""
    return lambda logits, labels: loss(logits, labels, ignore_index=IGNORED)


def _on_hard_pixels(loss: torch.nn.Module, sampler_class: type, kept: int) -> LossFunction:
    """The same with a sampler of hard pixels, as a decode head has one."""
    sampler = sampler_class(SimpleNamespace(ignore_index=IGNORED), 0.7, kept)

    def on_hard_pixels(logits: Tensor, labels: Tensor) -> Tensor:
        weight = sampler.sample(logits, labels.unsqueeze(1))
        return loss(logits, labels, weight=weight, ignore_index=IGNORED)

    return on_hard_pixels
