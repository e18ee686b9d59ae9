"""Losses that are a weighted sum over pixels of a function of the softmax: cross entropy and focal.

One fused kernel serves all of them: value and gradient come from one pass over the logits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .softmax_blocks import image_blocks, log_softmax_, scaled_gradient, softmax_and_surprise_
from .writing import write


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
        for n in image_blocks(images, pixels, flat.device):
            target, counts, factor = labels[n], valid[n], scale[n]
            out = torch.empty_like(flat[n]) if gradient is None else gradient[n]
            if smoothing:
                log_probabilities = log_softmax_(flat[n], counts, out)
                surprise = log_probabilities.gather(1, target).neg_()
                weighted = (weights @ log_probabilities).unsqueeze(1)
                log_probabilities.exp_()
            else:
                surprise = softmax_and_surprise_(flat[n], target, counts, out)
            # from here on `out` holds the probabilities
            value, slope = focal_value_and_slope(surprise, gamma)
            hard = factor * (1 - smoothing) if smoothing else factor
            if class_weight is not None:
                hard = hard * weights[target]
            value = value.mul_(hard)
            pull = hard if slope is None else slope.mul_(hard)  # d value / d x_j = pull * (p_j - [j = t])
            push = pull
            if smoothing:
                soft = factor * (smoothing / classes)
                value = value.addcmul_(soft, weighted, value=-1)
                push = torch.addcmul(push, soft, weights.sum())
            # of pixels that do not count, 0 * inf is nan
            write(torch.where, counts, value, value.new_zeros(()), out=values[n])
            if gradient is not None:
                out.mul_(push)
                out.scatter_add_(1, target, -pull)
                if smoothing:
                    out.addcmul_(soft, weights.view(-1, 1), value=-1)
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
        surprise: s, >= 0 but for rounding; any shape; overwritten by the value.
        gamma: >= 0.

    Returns:
        The value, and (1-p)^gamma + gamma * p * s * (1-p)^(gamma-1), or None for a slope of 1.
    """
    if gamma == 0:
        return surprise, None
    bounded = surprise.clamp(min=0, max=1e30)  # a root of -1e-7 is nan, and so is 0 * inf
    miss = bounded.neg().expm1_().neg_()  # 1 - p, right down to the smallest s
    by_hit = bounded.addcmul_(miss, bounded, value=-1)  # p * s
    if gamma >= 1:
        lower = miss if gamma == 2 else miss ** (gamma - 1)  # a power of 1 would be a copy
        focus = lower * miss
    else:
        focus = miss**gamma
        lower = focus / miss.where(miss > 0, 1)
        # (1-p)^(gamma-1) has no limit as p -> 1, but s / (1-p) -> 1: the slope goes to 0 as `focus` does.
    return surprise.mul_(focus), focus.addcmul_(lower, by_hit, value=gamma)
