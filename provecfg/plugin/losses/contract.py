"""What every loss here promises to mmseg's decode heads, in one base class."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from .targets import Targets, read_targets, resolve_ignore_index

Reduction = Literal["mean", "sum", "none"]


class SegLoss(nn.Module):
    """A segmentation loss that mmseg's decode heads can call.

    A head calls `loss(seg_logits, seg_label, weight=seg_weight, ignore_index=255)` and logs the result under
    `loss_name`. This class does what is the same for every loss, so that they all agree at the edges:

    - float16 and bfloat16 logits are computed in float32, float64 stays, and autocast is off inside;
    - ignored pixels move neither value nor gradient, not even with nan or inf in their logits;
    - where nothing counts, the loss is exactly 0 and its gradient is zero (never nan);
    - `ignore_index` comes from the head; one given to the constructor has to agree with it;
    - labels of any integer dtype are taken; one outside the classes is refused on CPU by value, and makes
      the loss nan on CUDA, where refusing it would cost a synchronisation.

    Subclasses implement `compute`, and say by a title and three flags what they are. Their default `loss_name` is
    "loss_" and what a study calls them. Their place in studies, in equations and in the rules follows from these, which
    `python -m docs.generate.plugin_snapshot` reads from the source.

    Args:
        reduction: "mean", "sum", or "none" for the map of each pixel's loss.
        ignore_index: Label of the pixels that do not count; None for the head's (255 where it has none).
        loss_weight: Factor on the result, >= 0. May be changed between calls.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        seg_logits: (N, C, ...) float logits, usually (N, C, H, W).
        seg_label: (N, ...) integer, in [0, C) or `ignore_index`.
        weight: (N, ...) pixel weights >= 0, for example from a pixel sampler, or None. Taken as constants.
        returns: () float32 (float64 for float64 logits); (N, ...) with reduction "none".

    Raises:
        ValueError: At construction: a value out of its range. In a call: shapes that do not belong
            together, a label out of range (on CPU), an `ignore_index` against the constructor's, a
            `reduction_override` or a `weight` that the loss cannot honour.
    """

    title: ClassVar[str]
    """What the equation at the head of a config calls it."""
    takes_pixel_weight: ClassVar[bool] = True
    """Whether `weight` means something to this loss."""
    has_pixel_map: ClassVar[bool] = True
    """Whether this loss is a sum over pixels, so that reduction "none" can give the terms."""
    needs_image: ClassVar[bool] = False
    """Whether logits must be (N, C, H, W); else any (N, C, ...), such as the points of a PointHead."""

    def __init__(self, *, reduction: Reduction, ignore_index: int | None, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        if "loss" not in loss_name:
            raise ValueError(f"loss_name {loss_name!r} must contain 'loss': mmengine trains on no other key")
        if not (math.isfinite(loss_weight) and loss_weight >= 0):
            raise ValueError(f"loss_weight is {loss_weight}, must be a finite number >= 0")
        self.reduction = self._checked_reduction(reduction)
        self.ignore_index = ignore_index
        self.loss_weight = float(loss_weight)
        self.loss_name = loss_name

    def forward(
        self,
        seg_logits: Tensor,
        seg_label: Tensor,
        weight: Tensor | None = None,
        reduction_override: Reduction | None = None,
        ignore_index: int | None = None,
    ) -> Tensor:
        """The loss of a batch; see the class for shapes and errors."""
        return self.evaluate(seg_logits, seg_label, weight, reduction_override, ignore_index)

    def evaluate(
        self,
        seg_logits: Tensor,
        seg_label: Tensor,
        weight: Tensor | None,
        reduction_override: Reduction | None,
        ignore_index: int | None,
        **extra: Tensor | None,
    ) -> Tensor:
        """`forward`, for subclasses that are called with more; `extra` goes on to `compute`."""
        ignore = resolve_ignore_index(self.ignore_index, ignore_index)
        reduction = self.reduction if reduction_override is None else self._checked_reduction(reduction_override)
        self._check_shapes(seg_logits, seg_label, weight)
        # .float() alone is not enough: under autocast, conv and matmul of float32 tensors drop back to half.
        with torch.autocast(device_type=seg_logits.device.type, enabled=False):
            logits = seg_logits if seg_logits.dtype is torch.float64 else seg_logits.float()
            targets = read_targets(seg_label, logits.shape[1], ignore, logits.dtype)
            if weight is not None:
                weight = weight.detach().to(logits.dtype)
            loss = self.compute(logits, targets, weight, reduction, **extra)
            return loss if targets.poison is None else loss + targets.poison

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        """The loss, times `loss_weight`, of float32 or float64 logits; autocast is off."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"loss_weight={self.loss_weight:g}, loss_name={self.loss_name!r}"

    def _checked_reduction(self, reduction: str) -> Reduction:
        if reduction not in get_args(Reduction):
            raise ValueError(f"reduction is {reduction!r}, must be one of {', '.join(get_args(Reduction))}")
        if reduction == "none" and not self.has_pixel_map:
            raise ValueError(
                f"{type(self).__name__} has no value per pixel, so reduction 'none' has no meaning for it; "
                "a pixel sampler that ranks pixels by loss cannot be used with it"
            )
        return reduction  # type: ignore[return-value]

    def _check_shapes(self, seg_logits: Tensor, seg_label: Tensor, weight: Tensor | None) -> None:
        name = type(self).__name__
        if seg_logits.dim() < 3 or (self.needs_image and seg_logits.dim() != 4):
            shape = "(N, C, H, W)" if self.needs_image else "(N, C, ...)"
            raise ValueError(f"{name} needs logits of shape {shape}, got {tuple(seg_logits.shape)}")
        if not seg_logits.dtype.is_floating_point:
            raise ValueError(f"{name} needs floating point logits, got {seg_logits.dtype}")
        pixels = (seg_logits.shape[0], *seg_logits.shape[2:])
        if tuple(seg_label.shape) != pixels:
            raise ValueError(
                f"{name}: logits of shape {tuple(seg_logits.shape)} need labels of shape {pixels}, "
                f"got {tuple(seg_label.shape)}"
            )
        if weight is None:
            return
        if not self.takes_pixel_weight:
            raise ValueError(
                f"{name} cannot honour pixel weights, which a head with a sampler (OHEM) passes to each of "
                "its losses: take the sampler out of this head, or this loss"
            )
        if tuple(weight.shape) != pixels:
            raise ValueError(f"{name}: pixel weights must have shape {pixels}, got {tuple(weight.shape)}")
