"""Boundary loss of Kervadec et al.: probability times signed distance to the border."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.autograd.function import once_differentiable

from .class_choice import checked_classes, chosen_classes, class_mask
from .contract import Reduction, SegLoss
from .distance_maps import signed_distance_maps
from .reduction import pixel_scale
from .softmax_blocks import image_blocks, pixel_blocks, scaled_gradient, softmax_
from .targets import Targets
from .writing import write


@MODELS.register_module()
class DistanceBoundaryLoss(SegLoss):
    """Mean over pixels and classes of p_c * phi_c, phi_c the signed distance to the border of class c.

    Probability far outside its class costs much, inside it earns; the minimum is the labels themselves. The
    value is in pixels and may be negative: that is right, do not clamp it. It says nothing of a class that an
    image does not hold, and alone, from scratch, trains badly: use it next to a region loss (cross entropy,
    Dice), the paper lets its weight grow from 0.01 while the other's falls.

    Args:
        classes: "all", or a list of class numbers; the mean divides by their number. The authors leave the
            background out.
        normalize: Whether distances are divided by the image's diagonal, so that they lie in [-1, 1] and
            loss_weight means the same at any crop size.
        reduction: "mean", "sum" or "none" (over pixels; over classes it is always the mean).
        avg_non_ignore: Whether the mean leaves ignored pixels out of its divisor.
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`, logits (N, C, H, W). Value in [-loss_weight * d, loss_weight * d], d the diagonal in
        pixels (1 if `normalize`).

    Raises:
        ValueError: classes "present" (which is what "all" amounts to here), unknown or out-of-range classes,
            maps of another shape than the logits, or what `SegLoss` raises.

    Source: Kervadec et al., MIDL 2019, eq. 5 (arXiv:1812.07032). Differs: maps of whole crops, made here
        rather than in the data pipeline where they are not given; ignored pixels (see
        `signed_distance_maps`); a mean over the pixels that count.
    """

    title = "distance boundary"
    needs_image = True

    def __init__(
        self,
        classes: Literal["all"] | list[int] = "all",
        normalize: bool = False,
        reduction: Reduction = "mean",
        avg_non_ignore: bool = True,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_distance_boundary",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        checked = checked_classes(classes)
        if checked == "present":
            raise ValueError("classes is 'present': absent classes cost nothing here, say 'all' or a list")
        self.classes = checked
        self.normalize = normalize
        self.avg_non_ignore = avg_non_ignore

    def forward(
        self,
        seg_logits: Tensor,
        seg_label: Tensor,
        weight: Tensor | None = None,
        reduction_override: Reduction | None = None,
        ignore_index: int | None = None,
        distance_maps: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch.

        Args:
            seg_logits: As in `SegLoss`, like the following.
            seg_label: (N, H, W).
            weight: (N, H, W) or None.
            reduction_override: Instead of the constructor's.
            ignore_index: The head's.
            distance_maps: (N, C, H, W) float, what `signed_distance_maps` gives, made before (in the data
                pipeline, say); None to make them here. Maps of other than the chosen classes are not looked at.
        """
        if distance_maps is not None and distance_maps.shape != seg_logits.shape:
            raise ValueError(
                f"distance_maps must have the logits' shape {tuple(seg_logits.shape)}, got {tuple(distance_maps.shape)}"
            )
        return self.evaluate(
            seg_logits, seg_label, weight, reduction_override, ignore_index, distance_maps=distance_maps
        )

    def compute(
        self,
        logits: Tensor,
        targets: Targets,
        weight: Tensor | None,
        reduction: Reduction,
        distance_maps: Tensor | None = None,
    ) -> Tensor:
        classes = chosen_classes(self.classes, targets.num_classes)
        if distance_maps is None:
            costs = signed_distance_maps(targets.labels, targets.valid, targets.num_classes, classes).to(logits.dtype)
        else:
            costs = distance_maps.detach().to(logits.dtype)
            if self.classes != "all":
                costs = costs * class_mask(classes, targets.num_classes, costs).view(-1, 1, 1)
        factor = self.loss_weight / len(classes)
        if self.normalize:
            factor /= math.hypot(*logits.shape[2:])
        scale = pixel_scale(targets.valid, weight, logits.dtype, reduction, self.avg_non_ignore, factor)
        with_grad = torch.is_grad_enabled() and logits.requires_grad
        return _ExpectedCost.apply(logits, costs, targets.valid, scale, reduction == "none", with_grad)


class _ExpectedCost(torch.autograd.Function):
    """Sum (or map) over pixels of scale * sum_c p_c * cost_c."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, costs: Tensor, valid: Tensor, scale: Tensor, as_map: bool, with_grad: bool
    ) -> Tensor:
        flat, costs = logits.contiguous().flatten(2), costs.flatten(2)
        images, _, pixels = flat.shape
        valid, scale = valid.flatten(1).unsqueeze(1), scale.flatten(1).unsqueeze(1)
        gradient = torch.empty_like(flat) if with_grad else None
        values = flat.new_empty(images, 1, pixels)
        for n in image_blocks(images, pixels, flat.device):
            out = torch.empty_like(flat[n]) if gradient is None else gradient[n]
            softmax_(flat[n], valid[n], out)
            for _, p in pixel_blocks(1, pixels, flat.device):
                block = out[:, :, p]
                terms = (costs[n, :, p] * scale[n, :, p]).mul_(block)
                value = terms.sum(1, keepdim=True)
                values[n, :, p] = value
                if gradient is not None:  # p_c * (scale * cost_c - value)
                    write(torch.addcmul, terms, block, value.neg_(), out=block)
        ctx.as_map = as_map
        if gradient is not None:
            ctx.save_for_backward(gradient.view(logits.shape))
        return values.view(images, *logits.shape[2:]) if as_map else values.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        by_logits = gradient * incoming.unsqueeze(1) if ctx.as_map else scaled_gradient(gradient, incoming)
        return by_logits, None, None, None, None, None
