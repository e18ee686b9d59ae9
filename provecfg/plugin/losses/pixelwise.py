"""Losses that are a weighted sum over pixels of a function of the softmax: cross entropy and focal.

One fused kernel serves all of them: value and gradient come from one pass over the logits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .softmax_blocks import pixel_blocks, scaled_gradient, shifted_


def softmax_pixel_loss(
    logits: Tensor,
    labels: Tensor,
    valid: Tensor,
    scale: Tensor,
    *,
    gamma: float = 0.0,
    smoothing: float = 0.0,
    class_weight: Tensor | None = None,
    as_map: bool = False,
) -> Tensor:
    """Sum (or map) over pixels of scale * [(1-e) w_t (1-p_t)^gamma (-log p_t) + e/C sum_c w_c (-log p_c)].

    Args:
        logits: (N, C, ...) float32 or float64; differentiable once.
        labels: (N, ...) int64 in [0, C).
        valid: (N, ...) bool; logits of other pixels are not looked at.
        scale: (N, ...) factor of each pixel, 0 where it does not count; a constant for autograd.
        gamma: Focusing exponent, >= 0.
        smoothing: e, in [0, 1).
        class_weight: (C,) w, or None for ones.
        as_map: Give (N, ...) instead of the sum.
    """
    with_grad = torch.is_grad_enabled() and logits.requires_grad
    return _SoftmaxPixelLoss.apply(logits, labels, valid, scale, class_weight, gamma, smoothing, as_map, with_grad)


class _SoftmaxPixelLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        valid: Tensor,
        scale: Tensor,
        class_weight: Tensor | None,
        gamma: float,
        smoothing: float,
        as_map: bool,
        with_grad: bool,
    ) -> Tensor:
        images, classes = logits.shape[:2]
        flat = logits.contiguous().flatten(2)
        pixels = flat.shape[2]
        labels, valid, scale = (t.reshape(images, 1, pixels) for t in (labels, valid, scale))
        gradient = torch.empty_like(flat) if with_grad else None
        values = flat.new_empty(images, 1, pixels)
        weights = flat.new_ones(classes) if class_weight is None else class_weight.to(flat)
        for n, p in pixel_blocks(images, pixels, flat.device):
            target, factor = labels[n, :, p], scale[n, :, p]
            out = torch.empty_like(flat[n, :, p]) if gradient is None else gradient[n, :, p]
            shifted = shifted_(flat[n, :, p], valid[n, :, p], out)
            shifted_target = shifted.gather(1, target)
            if smoothing:
                weighted = (weights @ shifted).unsqueeze(1)
            norm = shifted.exp_().sum(1, keepdim=True)  # from here on `shifted` holds the exponentials
            log_norm = norm.log()
            value, slope = focal_value_and_slope(log_norm - shifted_target, gamma)
            hard = factor * (1 - smoothing) if smoothing else factor
            if class_weight is not None:
                hard = hard * weights[target]
            value = hard * value
            pull = hard if slope is None else hard * slope  # d value / d x_j = pull * (p_j - [j = t])
            push = pull
            if smoothing:
                soft = factor * (smoothing / classes)
                value = value + soft * (weights.sum() * log_norm - weighted)
                push = push + soft * weights.sum()
            values[n, :, p] = value
            if gradient is not None:
                shifted.mul_(push / norm)
                shifted.scatter_add_(1, target, -pull)
                if smoothing:
                    shifted.sub_(soft * weights.view(-1, 1))
        ctx.as_map = as_map
        if gradient is not None:
            ctx.save_for_backward(gradient.view(logits.shape))
        return values.view(images, *logits.shape[2:]) if as_map else values.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        by_logits = gradient * incoming.unsqueeze(1) if ctx.as_map else scaled_gradient(gradient, incoming)
        return by_logits, None, None, None, None, None, None, None, None


def focal_value_and_slope(surprise: Tensor, gamma: float) -> tuple[Tensor, Tensor | None]:
    """(1-p)^gamma * s for s = -log p, and its slope: d value / d x_j = slope * (p_j - [j = t]).

    Args:
        surprise: s, >= 0 but for rounding; any shape.
        gamma: >= 0.

    Returns:
        The value, and (1-p)^gamma + gamma * p * s * (1-p)^(gamma-1), or None for a slope of 1.
    """
    if gamma == 0:
        return surprise, None
    bounded = surprise.clamp(min=0, max=1e30)  # a root of -1e-7 is nan, and so is 0 * inf
    miss = torch.expm1(-bounded).neg_()  # 1 - p, right down to the smallest s
    by_hit = (1 - miss).mul_(bounded)  # p * s
    if gamma >= 1:
        lower = miss ** (gamma - 1)
        focus = lower * miss
    else:
        focus = miss**gamma
        lower = focus / miss.where(miss > 0, 1)
        # (1-p)^(gamma-1) has no limit as p -> 1, but s / (1-p) -> 1: the slope goes to 0 as `focus` does.
    return focus * surprise, torch.addcmul(focus, lower, by_hit, value=gamma)
