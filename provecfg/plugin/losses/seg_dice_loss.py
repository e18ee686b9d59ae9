"""Soft Dice on the softmax over classes, blind to ignored pixels."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.autograd.function import once_differentiable

from .class_choice import Classes, checked_classes, chosen_classes, class_mask
from .contract import Reduction, SegLoss
from .reduction import pixel_shares, reciprocal_or_zero
from .softmax_blocks import image_blocks, pixel_blocks, scaled_gradient, softmax_
from .targets import Targets


@MODELS.register_module()
class SegDiceLoss(SegLoss):
    """Soft Dice loss, averaged over classes.

    For each class c, over the pixels n that count, with probability p, label t and pixel weight w (1 without):

        1 - (2 sum_n w p_c [t = c] + smooth) / (sum_n w p_c + sum_n w [t = c] + smooth)

    Args:
        classes: The classes averaged over: "present" (those that the labels hold), "all", or a list of class
            numbers. An absent class costs 1 - smooth / (sum p_c + smooth), which is nearly 1 whatever the
            prediction if more than a few pixels' worth of probability is on it.
        smooth: Added to numerator and denominator, in pixels, >= 0. A class with neither labels nor
            probability has a Dice of 1, also with 0.
        per_image: Whether each image has its own sums; else they run over the batch, which is steadier for
            small classes. An image that is ignored entirely is not counted in the mean.
        reduction: "mean" or "sum" over images; without `per_image` there is one loss and both are it.
        ignore_index: Label of the pixels that do not count; None for the head's. Unlike in mmseg's
            `DiceLoss`, they are in no sum, and it is not a class number to leave out.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`. The mean is in [0, loss_weight].

    Raises:
        ValueError: smooth negative or not finite, unknown or out-of-range classes, reduction "none" (the loss
            is no sum over pixels), or what `SegLoss` raises.

    Source: Milletari et al., 3DV 2016, section 3 (arXiv:1606.04797), softmax instead of sigmoid. Differs: plain
        instead of squared sums in the denominator, as in Sudre et al. 2017 (arXiv:1707.03237), so that hard
        predictions give one minus the Dice of sets.
    """

    title = "Dice"
    has_pixel_map = False

    def __init__(
        self,
        classes: Classes = "present",
        smooth: float = 1.0,
        per_image: bool = False,
        reduction: Reduction = "mean",
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_dice",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        if not (math.isfinite(smooth) and smooth >= 0):
            raise ValueError(f"smooth is {smooth}, must be a finite number >= 0")
        self.classes = checked_classes(classes)
        self.smooth = float(smooth)
        self.per_image = per_image

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        labels = targets.labels.flatten(1)
        shares = None if weight is None else pixel_shares(targets.valid, weight, logits.dtype).flatten(1)
        counted = targets.valid.flatten(1).to(logits.dtype) if shares is None else shares
        sizes = sums_by_label(labels, counted, logits.shape[1])
        if not self.per_image:
            sizes = sizes.sum(0, keepdim=True)
        counts = (sizes > 0) if self.classes == "present" else (sizes.sum(1, keepdim=True) > 0)
        is_chosen = counts * class_mask(chosen_classes(self.classes, logits.shape[1]), logits.shape[1], sizes)
        factors = self.loss_weight * is_chosen * reciprocal_or_zero(is_chosen.sum(1, keepdim=True), sizes.dtype)
        if reduction == "mean":
            factors = factors * reciprocal_or_zero((sizes.sum(1) > 0).sum(), sizes.dtype)
        with_grad = torch.is_grad_enabled() and logits.requires_grad
        return _SoftDice.apply(logits, labels, targets.valid.flatten(1), shares, sizes, factors, self.smooth, with_grad)


def sums_by_label(labels: Tensor, shares: Tensor, num_classes: int) -> Tensor:
    """(N, C) float64: sums of an image's shares by label.

    Args:
        labels: (N, P) int64 in [0, C).
        shares: (N, P) float.
        num_classes: C.
    """
    sums = torch.zeros(labels.shape[0], num_classes, dtype=torch.float64, device=labels.device)
    return sums.scatter_add_(1, labels, shares.double())


class _SoftDice(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        valid: Tensor,
        shares: Tensor | None,
        sizes: Tensor,
        factors: Tensor,
        smooth: float,
        with_grad: bool,
    ) -> Tensor:
        flat = logits.contiguous().flatten(2)
        images, classes, pixels = flat.shape
        gradient = torch.empty_like(flat) if with_grad else None  # holds probabilities until the sums are known
        masses = torch.zeros(images, classes, dtype=torch.float64, device=flat.device)  # sum w p_c
        hits = torch.zeros_like(masses)  # sum w p_c [t = c]
        for n in image_blocks(images, pixels, flat.device):
            out = torch.empty_like(flat[n]) if gradient is None else gradient[n]
            counts = valid[n].unsqueeze(1)
            block = softmax_(flat[n], counts, out)
            if shares is None:
                block.mul_(counts.to(block.dtype))
                masses[n] = block.sum(2).double()
            of_label = block.gather(1, labels[n].unsqueeze(1)).squeeze(1)
            if shares is not None:
                of_label.mul_(shares[n])
                for _, p in pixel_blocks(1, pixels, flat.device):  # float32 adds up no whole image exactly enough
                    masses[n] += torch.bmm(block[:, :, p], shares[n, p].unsqueeze(2)).squeeze(2)
            hits[n] = sums_by_label(labels[n], of_label, classes)
        groups = factors.shape[0]
        if groups != images:
            masses, hits = masses.sum(0, keepdim=True), hits.sum(0, keepdim=True)
        whole = masses + sizes + smooth
        inverse = reciprocal_or_zero(whole, whole.dtype)
        dice = torch.where(whole == 0, 1, (2 * hits + smooth) * inverse)
        value = (factors * (1 - dice)).sum().to(flat.dtype)
        if gradient is not None:
            by_own = (-2 * factors * inverse).to(flat.dtype).expand(images, classes)
            by_mass = (factors * dice * inverse).to(flat.dtype).expand(images, classes)
            for n, p in pixel_blocks(images, pixels, flat.device):
                share = None if shares is None else shares[n, None, p]
                dice_backward_block_(gradient[n, :, p], labels[n, None, p], share, by_own[n], by_mass[n])
            ctx.save_for_backward(gradient.view(logits.shape))
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return scaled_gradient(gradient, incoming), None, None, None, None, None, None, None


def dice_backward_block_(
    probabilities: Tensor, labels: Tensor, shares: Tensor | None, by_own: Tensor, by_mass: Tensor
) -> Tensor:
    """Overwrite probabilities by the gradient by logits.

    The gradient by probabilities is u_c = w (by_mass_c + by_own_c [t = c]), and by logits p_c (u_c - sum p u).

    Args:
        probabilities: (N, C, P), without shares 0 for pixels that do not count; overwritten.
        labels: (N, 1, P) int64.
        shares: (N, 1, P) w, or None for ones.
        by_own: (N, C).
        by_mass: (N, C).
    """
    own = probabilities.gather(1, labels).mul_(by_own.unsqueeze(2).expand(-1, -1, labels.shape[2]).gather(1, labels))
    mean = torch.bmm(by_mass.unsqueeze(1), probabilities).add_(own)
    probabilities.mul_(by_mass.unsqueeze(2) - mean)
    probabilities.scatter_add_(1, labels, own)
    return probabilities if shares is None else probabilities.mul_(shares)
