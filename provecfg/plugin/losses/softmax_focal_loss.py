"""Focal loss for softmax classifiers; mmseg's own is for sigmoids only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from .class_weights import checked_class_values, class_tensor
from .contract import Reduction, SegLoss
from .pixelwise import softmax_pixel_loss
from .reduction import pixel_scale
from .targets import Targets


@MODELS.register_module()
class SoftmaxFocalLoss(SegLoss):
    """Focal loss on the softmax over classes.

    alpha_t * (1 - p_t)^gamma * (-log p_t) for each pixel, p_t being the probability of the pixel's label.
    gamma = 0 and alpha = 1 is cross entropy. A pixel is discounted the more, the surer it is already.

    Args:
        gamma: Focusing exponent, >= 0; an int will do.
        alpha: A number >= 0 that scales all classes alike (0.5 halves the loss and balances nothing), or one
            number >= 0 a class.
        reduction: "mean", "sum" or "none".
        avg_non_ignore: Whether the mean is over the pixels that count (their weights, if weights are given)
            or over all pixels.
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`. Value in [0, inf); alpha does not enter the mean's divisor.

    Raises:
        ValueError: gamma or alpha negative or not finite, a list of alphas that does not fit the classes of
            the logits, or what `SegLoss` raises.

    Source: Lin et al., ICCV 2017, eq. 5 (arXiv:1708.02002). Differs: softmax instead of sigmoid, so alpha is
        per class and has no 1 - alpha; mean over pixels instead of over positive anchors.
    """

    title = "focal"

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] = 0.5,
        reduction: Reduction = "mean",
        avg_non_ignore: bool = True,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_focal",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        if not (math.isfinite(gamma) and gamma >= 0):
            raise ValueError(f"gamma is {gamma}, must be a finite number >= 0")
        self.gamma = float(gamma)
        self.alpha: float | tuple[float, ...]
        if isinstance(alpha, Sequence):
            self.alpha = checked_class_values(alpha, "alpha")
        else:
            (self.alpha,) = checked_class_values([alpha], "alpha")
        self.avg_non_ignore = avg_non_ignore

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        factor = self.loss_weight
        class_alpha = None
        if isinstance(self.alpha, float):
            factor *= self.alpha
        else:
            class_alpha = class_tensor(self.alpha, logits, "alpha")
        scale = pixel_scale(targets.valid, weight, logits.dtype, reduction, self.avg_non_ignore, factor)
        return softmax_pixel_loss(
            logits,
            targets.labels,
            targets.valid,
            self.emphasised(scale, targets),
            gamma=self.gamma,
            class_weight=class_alpha,
            as_map=reduction == "none",
        )

    def emphasised(self, scale: Tensor, targets: Targets) -> Tensor:
        """The factor of each pixel, (N, ...), after the mean's divisor is in it; for subclasses."""
        return scale
