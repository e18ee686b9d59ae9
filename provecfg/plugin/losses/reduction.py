"""Means over the pixels that count, as a factor for each pixel that is known before its loss is."""

from __future__ import annotations

import torch
from torch import Tensor

from .contract import Reduction


def reciprocal_or_zero(total: Tensor, dtype: torch.dtype) -> Tensor:
    """1 / total, and 0 where total is 0, so that a mean over nothing is 0 and not nan."""
    total = total.to(dtype)
    return torch.where(total > 0, 1 / torch.where(total > 0, total, 1), 0)


def pixel_shares(valid: Tensor, weight: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Each pixel's weight (1 without weights) where it counts, 0 where it is ignored.

    Args:
        valid: (N, ...) bool.
        weight: (N, ...) of `dtype`, or None.
        dtype: float32 or float64.
    """
    return valid.to(dtype) if weight is None else weight.where(valid, 0)


def pixel_scale(
    valid: Tensor,
    weight: Tensor | None,
    dtype: torch.dtype,
    reduction: Reduction,
    avg_non_ignore: bool,
    factor: float,
    class_share: Tensor | None = None,
) -> Tensor:
    """What each pixel's loss is multiplied by, so that the sum over pixels is the reduced loss.

    Args:
        valid: (N, ...) bool.
        weight: (N, ...) pixel weights, or None for ones.
        dtype: float32 or float64.
        reduction: "mean" divides by the weights' sum; "sum" and "none" do not divide.
        avg_non_ignore: Whether the mean leaves ignored pixels out of its divisor.
        factor: Factor on everything, such as the loss's weight.
        class_share: (N, ...) weight of each pixel's class, which the loss itself applies and the divisor of
            the mean counts, as in `torch.nn.functional.cross_entropy`; an ignored pixel counts 1.
    """
    shares = pixel_shares(valid, weight, dtype)
    if reduction != "mean":
        return shares * factor
    total = (shares if class_share is None else shares * class_share).sum()
    if not avg_non_ignore:
        ignored = pixel_shares(~valid, weight, dtype)
        total = total + ignored.sum()
    return shares * (factor * reciprocal_or_zero(total, dtype))
