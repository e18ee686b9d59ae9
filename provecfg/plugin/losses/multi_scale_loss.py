"""Any loss at several resolutions of the logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from mmseg.registry import MODELS
from torch import Tensor

from .contract import Reduction, SegLoss
from .targets import Targets


@MODELS.register_module()
class MultiScaleLoss(SegLoss):
    """Weighted mean of one loss on the logits at several resolutions.

    At scale s, logits are resized bilinearly to s times their height and width, ignored pixels having no part
    in the interpolation, and labels and pixel weights are taken from the nearest pixel. Scale 1 is the loss as
    it is; scales (1,) with nothing else changes nothing. Small scales make a loss look at the layout rather
    than at the edges.

    Args:
        loss: Config of the loss, as a head's `loss_decode` would hold it. Its own `loss_weight` counts, its
            `loss_name` does not.
        scales: Factors on height and width, each in (0, 1].
        scale_weights: One weight >= 0 a scale, their sum > 0; None for equal ones. Only their ratios count.
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`, logits (N, C, H, W). A resized side has at least one pixel.

    Raises:
        ValueError: scales or scale_weights out of their range or of different length, pixel weights if the
            loss cannot honour them, reduction "none" (there is no one map), or what the loss or `SegLoss`
            raises.

    Source: the loss configuration of PROVE, "Multi-Scale Loss"; for decoders whose logits come at one
        resolution, where deep supervision has heads at several.
    """

    title = "multi-scale"
    has_pixel_map = False
    needs_image = True

    def __init__(
        self,
        loss: dict[str, Any],
        scales: Sequence[float] = (1.0, 0.5, 0.25),
        scale_weights: Sequence[float] | None = None,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_multi_scale",
    ) -> None:
        super().__init__(reduction="mean", ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise ValueError(f"scales is {list(scales)}, must be numbers in (0, 1], at least one")
        weights = [1.0] * len(scales) if scale_weights is None else [float(w) for w in scale_weights]
        if len(weights) != len(scales):
            raise ValueError(f"scale_weights has {len(weights)} values, scales has {len(scales)}")
        if not (all(math.isfinite(w) and w >= 0 for w in weights) and sum(weights) > 0):
            raise ValueError(f"scale_weights is {weights}, must be finite numbers >= 0 with a sum > 0")
        self.scales = tuple(float(scale) for scale in scales)
        self.scale_weights = tuple(w / sum(weights) for w in weights)
        self.loss = MODELS.build(loss)
        self.takes_pixel_weight = getattr(self.loss, "takes_pixel_weight", True)  # type: ignore[misc]

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        labels = targets.labels.where(targets.valid, targets.ignore_index)
        total = logits.new_zeros(())
        for scale, share in zip(self.scales, self.scale_weights, strict=True):
            size = tuple(max(1, round(scale * side)) for side in logits.shape[2:])
            if size == tuple(logits.shape[2:]):
                resized = logits, labels, weight
            else:
                resized = (
                    resize_logits(logits, targets.valid, size),
                    resize_nearest(labels, size),
                    None if weight is None else resize_nearest(weight, size),
                )
            value = self.loss(
                *resized,
                ignore_index=targets.ignore_index,
                reduction_override=None if reduction == "mean" else reduction,
            )
            total = total + share * value
        return total * self.loss_weight


def resize_logits(logits: Tensor, valid: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear resize in which pixels that do not count have no part: their share goes to their neighbours.

    Args:
        logits: (N, C, H, W).
        valid: (N, H, W) bool.
        size: New height and width, not larger. Where no pixel counts, the result is 0.
    """
    counts = valid.unsqueeze(1)
    shares = F.interpolate(counts.to(logits.dtype), size, mode="bilinear", align_corners=False)
    sums = F.interpolate(logits.where(counts, 0), size, mode="bilinear", align_corners=False)
    return sums / shares.where(shares > 0, 1)


def resize_nearest(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(N, H, W) of any dtype at a new size, each pixel the one below its centre (one that `resize_logits` uses)."""
    for dim, (old, new) in enumerate(zip(maps.shape[1:], size, strict=True), start=1):
        centres = (torch.arange(new, device=maps.device) * 2 + 1) * old // (2 * new)
        maps = maps.index_select(dim, centres)
    return maps
