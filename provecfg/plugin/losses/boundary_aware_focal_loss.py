"""Focal loss that counts pixels at class boundaries more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from .contract import Reduction
from .sobel import label_boundary, whole_windows
from .softmax_focal_loss import SoftmaxFocalLoss
from .targets import Targets, compact_labels


@MODELS.register_module()
class BoundaryAwareFocalLoss(SoftmaxFocalLoss):
    """`SoftmaxFocalLoss`, each pixel times 1 + boundary_weight * b.

    b in [0, 1] is the boundary map of the labels that `SegBoundaryLoss` uses: 1 on both sides of a straight
    step between two classes, 0 where the 3x3 window is of one class or holds an ignored pixel. The mean still
    divides by the pixels that count (or their weights), not by 1 + boundary_weight * b, so the loss is between
    1 and 1 + boundary_weight times the focal loss, and equal to it on a constant label map.

    Args:
        gamma: As in `SoftmaxFocalLoss`.
        alpha: As in `SoftmaxFocalLoss`.
        boundary_weight: Extra weight of a pixel at a boundary, >= 0.
        reduction: "mean", "sum" or "none".
        avg_non_ignore: As in `SoftmaxFocalLoss`.
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`, logits (N, C, H, W). Value in [0, inf).

    Raises:
        ValueError: boundary_weight negative or not finite, or what `SoftmaxFocalLoss` raises.

    Source: the loss configuration of PROVE, "Boundary-Aware Focal Loss": focal * (1 + sobel(labels)).
    """

    title = "boundary-aware focal"
    needs_image = True

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] = 0.5,
        boundary_weight: float = 1.0,
        reduction: Reduction = "mean",
        avg_non_ignore: bool = True,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_boundary_focal",
    ) -> None:
        super().__init__(gamma, alpha, reduction, avg_non_ignore, ignore_index, loss_weight, loss_name)
        if not (math.isfinite(boundary_weight) and boundary_weight >= 0):
            raise ValueError(f"boundary_weight is {boundary_weight}, must be a finite number >= 0")
        self.boundary_weight = float(boundary_weight)

    def emphasised(self, scale: Tensor, targets: Targets) -> Tensor:
        boundary = label_boundary(compact_labels(targets.labels, targets.num_classes - 1), scale.dtype)
        return scale.addcmul(scale, boundary * whole_windows(targets.valid), value=self.boundary_weight)
