"""Cross entropy with class weights, label smoothing and ignored pixels, in any combination."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from .class_weights import checked_class_values, class_tensor
from .contract import Reduction, SegLoss
from .pixelwise import softmax_pixel_loss
from .reduction import pixel_scale
from .targets import Targets


@MODELS.register_module()
class SegCrossEntropyLoss(SegLoss):
    """Softmax cross entropy.

    For each pixel, with label t and weights w (ones without `class_weight`), e = label_smoothing:

        (1 - e) * w_t * (-log p_t)  +  e / C * sum_c w_c * (-log p_c)

    The mean divides by the sum of w_t (times pixel weights), of the pixels that count. That is
    `torch.nn.functional.cross_entropy`, which knows no pixel weights, gives nan where nothing counts, and
    breaks down in float16.

    Args:
        class_weight: One weight >= 0 a class, or None. mmseg's own loss raises with class weights and
            `avg_non_ignore` together.
        label_smoothing: e, the share of the label that is spread over all classes, in [0, 1).
        reduction: "mean", "sum" or "none".
        avg_non_ignore: Whether the mean leaves ignored pixels out of its divisor; else each counts 1 (or its
            pixel weight).
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`. Value in [0, inf).

    Raises:
        ValueError: label_smoothing out of its range, a class weight negative or not finite, weights that do
            not fit the classes of the logits, or what `SegLoss` raises.

    Source: label smoothing as in Szegedy et al., CVPR 2016, sec. 7 (arXiv:1512.00567); class weights and
        reduction as in PyTorch. Differs from neither.
    """

    title = "CE"

    def __init__(
        self,
        class_weight: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        avg_non_ignore: bool = True,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_ce",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}, must be in [0, 1)")
        self.class_weight = None if class_weight is None else checked_class_values(class_weight, "class_weight")
        self.label_smoothing = float(label_smoothing)
        self.avg_non_ignore = avg_non_ignore

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        class_weight = class_share = None
        if self.class_weight is not None:
            class_weight = class_tensor(self.class_weight, logits, "class_weight")
            class_share = class_weight[targets.labels]
        scale = pixel_scale(
            targets.valid, weight, logits.dtype, reduction, self.avg_non_ignore, self.loss_weight, class_share
        )
        return softmax_pixel_loss(
            logits,
            targets.labels,
            targets.valid,
            scale,
            smoothing=self.label_smoothing,
            class_weight=class_weight,
            as_map=reduction == "none",
        )
