"""Boundary loss: where the prediction changes class against where the labels do, by Sobel operators."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.autograd.function import once_differentiable

from .contract import Reduction, SegLoss
from .reduction import reciprocal_or_zero
from .sobel import (
    STEP_ENERGY,
    box_sums,
    diagonal_differences,
    half_energy,
    half_energy_backward,
    label_boundary,
    whole_windows,
)
from .softmax_blocks import scaled_gradient, softmax_, softmax_backward_
from .targets import Targets, compact_labels, host_values


@MODELS.register_module()
class SegBoundaryLoss(SegLoss):
    """Binary cross-entropy between the boundary maps of prediction and labels.

    With gx_c and gy_c the Sobel responses ([1 2 1] across [-1 0 1], replicate padding) of class c's softmax
    probability, the predicted boundary map is

        b = min(sqrt(sum_c (gx_c^2 + gy_c^2) / 32 + eps^2), 1 - eps)

    32 being the sum on both sides of a straight step from one class to another, so that such a step gives 1.
    The label map y is the same of one-hot labels without eps: min(sqrt(energy / 32), 1). The loss is the mean
    of -y log b - (1 - y) log(1 - b) over the pixels whose 3x3 window (as far as it lies in the image) holds
    no ignored pixel; in float32 under autocast. A pixel that only touches a corner has y between 0 and 1, so
    a perfect prediction costs the entropy of such y, and about eps.

    One map over classes cannot tell which classes meet: permuting the classes of the prediction does not
    change it. Use it next to a loss that can, such as cross entropy, or with `per_class`.

    Args:
        per_class: One boundary map for each class, of its own energy / 16, and the mean over classes too.
        eps: Softens the map where it is flat or full, in (0, 0.1]: log b >= log eps, and the slope of the
            square root stays below 1 / eps.
        reduction: "mean" or "sum" over pixels (and classes, if `per_class`).
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`, logits (N, C, H, W). The mean is in [0, -loss_weight * log eps].

    Raises:
        ValueError: eps out of its range, pixel weights or reduction "none" (a value belongs to a window,
            not to a pixel), or what `SegLoss` raises.

    Source: the loss configuration of PROVE, "SegBoundaryLoss", whose wording leaves the maps open; the
        definition is this project's. Not Kervadec's boundary loss, which is `DistanceBoundaryLoss`.
    """

    title = "boundary"
    takes_pixel_weight = False
    has_pixel_map = False
    needs_image = True

    def __init__(
        self,
        per_class: bool = False,
        eps: float = 1e-3,
        reduction: Reduction = "mean",
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_boundary",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        if not 0 < eps <= 0.1:
            raise ValueError(f"eps is {eps}, must be in (0, 0.1]")
        self.per_class = per_class
        self.eps = float(eps)

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        windows = whole_windows(targets.valid)
        scale = logits.new_full((), self.loss_weight)
        if reduction == "mean":
            terms = windows.sum() * (logits.shape[1] if self.per_class else 1)
            scale = scale * reciprocal_or_zero(terms, logits.dtype)
        scale = scale * windows
        labels = compact_labels(targets.labels, logits.shape[1] - 1)
        with_grad = torch.is_grad_enabled() and logits.requires_grad
        return _BoundaryCrossEntropy.apply(logits, labels, targets.valid, scale, self.per_class, self.eps, with_grad)


class _BoundaryCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        valid: Tensor,
        scale: Tensor,
        per_class: bool,
        eps: float,
        with_grad: bool,
    ) -> Tensor:
        images, classes, height, width = logits.shape
        value = logits.new_zeros(())
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if with_grad else None
        if logits.numel():
            flat = logits.contiguous().flatten(2)
            probabilities = logits.new_empty(classes, height, width)
            image_loss = per_class_loss if per_class else all_classes_loss
            for n in range(images):
                rows = probabilities.view(1, classes, -1)
                softmax_(flat[n : n + 1], valid[n].view(1, 1, -1), rows)
                out = None if gradient is None else gradient[n]
                value = value + image_loss(probabilities, labels[n], scale[n], eps, out)
                if out is not None:
                    softmax_backward_(rows, out.view(1, classes, -1))
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return scaled_gradient(gradient, incoming), None, None, None, None, None, None


# Planes of a group together have about this many pixels: few enough for the cache, and enough for the calls'
# own cost (and the threads' meeting in each) not to matter.
GROUP_PIXELS = 524_288


def class_groups(classes: int, pixels: int, device: torch.device) -> list[slice]:
    """Slices over the classes, of about GROUP_PIXELS pixels each; off the CPU, one of all."""
    size = max(1, GROUP_PIXELS // pixels) if device.type == "cpu" else classes
    return [slice(first, min(first + size, classes)) for first in range(0, classes, size)]


def all_classes_loss(probabilities: Tensor, labels: Tensor, scale: Tensor, eps: float, out: Tensor | None) -> Tensor:
    """Sum of scale * BCE of one image with one map over classes.

    Args:
        probabilities: (C, H, W), finite.
        labels: (H, W) integers.
        scale: (H, W) factor of each pixel.
        eps: As in `SegBoundaryLoss`.
        out: (C, H, W) where the gradient by probabilities is written, or None.
    """
    groups = class_groups(len(probabilities), labels.numel(), labels.device)
    boxes = []
    energy = probabilities.new_zeros(labels.shape)
    for group in groups:
        sums = box_sums(probabilities[group])
        d1, d2 = diagonal_differences(sums)
        energy += d1.square_().addcmul_(d2, d2).sum(0)
        if out is not None:
            boxes.append(sums)
    is_boundary = label_boundary(labels.unsqueeze(0), energy.dtype)[0]
    value, slope = cross_entropy_and_slope(energy.div_(STEP_ENERGY), is_boundary, scale, eps)
    if out is not None:
        slope.mul_(2 / STEP_ENERGY)
        for group in groups:
            half_energy_backward(boxes.pop(0), slope, out[group])
    return value


def per_class_loss(probabilities: Tensor, labels: Tensor, scale: Tensor, eps: float, out: Tensor | None) -> Tensor:
    """Sum of scale * BCE of one image with a map for each class; arguments as in `all_classes_loss`."""
    numbers = torch.arange(len(probabilities), device=labels.device).to(labels.dtype).view(-1, 1, 1)
    value = probabilities.new_zeros(())
    for group in class_groups(len(probabilities), labels.numel(), labels.device):
        is_class = labels == numbers[group]
        is_boundary = None
        if host_values(is_class.any()) is not False:  # of a class that the image lacks, the map is 0
            is_boundary = half_energy(is_class.to(probabilities.dtype)).mul_(2 / STEP_ENERGY).clamp_(max=1).sqrt_()
        boxes = box_sums(probabilities[group])
        d1, d2 = diagonal_differences(boxes)
        energy = d1.square_().addcmul_(d2, d2).mul_(2 / STEP_ENERGY)
        group_value, slope = cross_entropy_and_slope(energy, is_boundary, scale, eps)
        value = value + group_value
        if out is not None:
            half_energy_backward(boxes, slope.mul_(4 / STEP_ENERGY), out[group])
    return value


def cross_entropy_and_slope(
    energy: Tensor, is_boundary: Tensor | None, scale: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Sum of scale * BCE(b, y) with b = min(sqrt(energy + eps^2), 1 - eps), and its derivative by energy.

    Args:
        energy: (..., H, W), 1 for a straight step.
        is_boundary: (..., H, W) y, in [0, 1]; None for zeros.
        scale: (H, W) factor of each pixel.
        eps: In (0, 0.1].
    """
    softened = energy + eps * eps
    full = softened >= (1 - eps) ** 2
    softened.clamp_(max=(1 - eps) ** 2)
    boundary = softened.sqrt()
    inside = 1 - boundary
    terms = inside.log()
    slope = boundary
    if is_boundary is not None:
        terms.lerp_(softened.log().mul_(0.5), is_boundary)
        slope = boundary - is_boundary
    value = -terms.mul_(scale).sum()
    # d BCE / d b = (b - y) / (b (1 - b)), d b / d energy = 1 / (2 b)
    slope = slope.mul(scale).div_(softened.mul_(inside)).mul_(0.5).masked_fill_(full, 0)
    return value, slope
