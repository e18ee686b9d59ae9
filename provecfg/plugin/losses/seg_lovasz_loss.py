"""Lovasz-Softmax: the convex extension of 1 - IoU, by a radix sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.autograd.function import once_differentiable

from .class_choice import Classes, checked_classes, chosen_classes
from .class_weights import checked_class_values, class_tensor
from .contract import Reduction, SegLoss
from .reduction import reciprocal_or_zero
from .softmax_blocks import scaled_gradient, softmax_, softmax_backward_
from .targets import Targets, host_values


@MODELS.register_module()
class SegLovaszLoss(SegLoss):
    """Lovasz-Softmax loss, the mean over classes of the Lovasz extension of the Jaccard loss.

    For each class: errors e = |[label = class] - p_class| of the pixels that count, sorted downwards, dotted
    with the increments of 1 - IoU as one pixel after the other turns wrong. At hard predictions it is
    1 - IoU. The value equals mmseg's `LovaszLoss` wherever that is finite.

    Args:
        loss_type: "multi_class". mmseg's "binary" is a hinge on one-channel logits; use mmseg's own for it.
        classes: The classes averaged over: "all", "present" (those that the labels hold; per image, if
            `per_image`), or a list of class numbers. An absent class costs its largest probability.
        per_image: Whether each image has its own loss, which are then reduced; else all pixels of the batch
            are one set. An image that is ignored entirely costs 0, and a mean does not count it.
        reduction: "mean" or "sum" over images; without `per_image` there is one loss and both are it.
        class_weight: One factor >= 0 a class, on its loss; the mean still divides by the number of classes.
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`. Value in [0, loss_weight] for the mean without class weights.

    Raises:
        ValueError: loss_type "binary", unknown or out-of-range classes, pixel weights or reduction "none"
            (the loss is not a sum over pixels), or what `SegLoss` raises.

    Source: Berman, Rannen Triki and Blaschko, CVPR 2018, eq. 11 and algorithm 1 (arXiv:1705.08790). Differs:
        increments in closed form, without the cancellation of a difference of two Jaccard indices, and equal
        errors are ordered (label's own pixels first), which moves no value.
    """

    title = "Lovasz"
    takes_pixel_weight = False
    has_pixel_map = False

    def __init__(
        self,
        loss_type: Literal["multi_class"] = "multi_class",
        classes: Classes = "all",
        per_image: bool = True,
        reduction: Reduction = "mean",
        class_weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_lovasz",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        if loss_type != "multi_class":
            raise ValueError(
                f"loss_type is {loss_type!r}; SegLovaszLoss has only 'multi_class' (for a one-channel head, "
                "use mmseg's LovaszLoss with loss_type='binary')"
            )
        self.classes = checked_classes(classes)
        self.per_image = per_image
        self.class_weight = None if class_weight is None else checked_class_values(class_weight, "class_weight")

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        chosen = chosen_classes(self.classes, logits.shape[1])
        class_factor = logits.new_full((logits.shape[1],), self.loss_weight)
        if self.class_weight is not None:
            class_factor = class_factor * class_tensor(self.class_weight, logits, "class_weight")
        flat = logits.flatten(2)
        labels, valid = targets.labels.flatten(1), targets.valid.flatten(1)
        if not self.per_image:  # one image of all the batch's pixels
            flat = flat.transpose(0, 1).flatten(1).unsqueeze(0)
            labels, valid = labels.reshape(1, -1), valid.reshape(1, -1)
        if reduction == "mean":
            class_factor = class_factor * reciprocal_or_zero(valid.any(1).sum(), logits.dtype)
        only_present = self.classes == "present"
        with_grad = torch.is_grad_enabled() and logits.requires_grad
        return _LovaszSoftmax.apply(flat, labels, valid, class_factor, chosen, only_present, with_grad)


LARGEST_EXACT = 2**24  # float32 counts no further


class _LovaszSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        valid: Tensor,
        class_factor: Tensor,
        chosen: tuple[int, ...],
        only_present: bool,
        with_grad: bool,
    ) -> Tensor:
        images, num_classes, pixels = logits.shape
        value = logits.new_zeros(())
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format) if with_grad else None
        if images == 0 or pixels == 0:
            if gradient is not None:
                ctx.save_for_backward(gradient)
            return value
        counting = logits.dtype if pixels < LARGEST_EXACT else torch.float64
        ranks = torch.arange(1, pixels + 1, dtype=counting, device=logits.device)
        errors = logits.new_empty(num_classes, pixels)
        for n in range(images):
            label_row, valid_row = labels[n : n + 1], valid[n : n + 1]
            softmax_(logits[n : n + 1], valid_row.unsqueeze(1), errors.unsqueeze(0))
            # Pixels that do not count have probability 0 and no class: error 0, behind every foreground pixel.
            # There the increments are exactly 0.
            errors.mul_(valid_row.to(errors.dtype))
            own = errors.gather(0, label_row)
            errors.scatter_(0, label_row, torch.where(valid_row, (1 - own).clamp_(min=0).neg_(), own))  # 1 gives -0.0
            counts = torch.zeros(num_classes, dtype=torch.long, device=labels.device)
            counts.scatter_add_(0, labels[n], valid[n].long())
            if only_present:
                mean = reciprocal_or_zero((counts > 0).sum(), logits.dtype)
            else:
                mean = valid[n].any().to(logits.dtype) / len(chosen)
            factor = class_factor * mean
            class_pixels = host_values(counts)
            for c in range(num_classes):
                out = logits.new_empty(pixels) if gradient is None else gradient[n, c]
                absent = class_pixels is not None and class_pixels[c] == 0
                if c not in chosen or (only_present and absent):
                    out.zero_()
                elif absent:
                    value = value + factor[c] * absent_class(errors[c], factor[c], out)
                else:
                    scale = factor[c] * (counts[c] > 0) if only_present else factor[c]
                    may_be_absent = class_pixels is None
                    extension = one_class(errors[c], counts[c], may_be_absent, ranks, out)
                    value = value + scale * extension
                    out.mul_(scale)
            if gradient is not None:
                probabilities = errors.scatter_(0, label_row, own)
                softmax_backward_(probabilities.unsqueeze(0), gradient[n : n + 1])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return scaled_gradient(gradient, incoming), None, None, None, None, None, None


def absent_class(probability: Tensor, scale: Tensor, out: Tensor) -> Tensor:
    """The value of a class that no pixel has: its largest probability, and nothing to sort.

    Args:
        probability: (P,).
        scale: () factor on what is written to `out`.
        out: (P,) where scale * d value / d probability is written.
    """
    largest, where = probability.max(0)
    out.zero_()
    out[where] = scale
    return largest


def one_class(signed_error: Tensor, count: Tensor, may_be_absent: bool, ranks: Tensor, out: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss of one class.

    With the errors sorted downwards, U_i = count + (others among the first i) is the union and
    I_i = count - (own among the first i) = U_i - i the intersection once the first i pixels are wrong;
    1 - I/U grows by 1/U_i at an own pixel and by I_i / (U_i (U_i - 1)) at another's.

    Args:
        signed_error: (P,) probability of the class, less 1 at its own pixels and there with the sign bit set; 0 for
            pixels that do not count.
        count: () int64, number of pixels of the class.
        may_be_absent: Whether count may be 0.
        ranks: (P,) 1 to P, of a float dtype that holds them exactly.
        out: (P,) where d value / d probability is written.

    Returns:
        () the value, in [0, 1].
    """
    # Integers in one dimension, upwards: torch sorts these by radix, ten times as fast as floats.
    ordered, places = sort_keys(signed_error).sort()
    is_other = ordered & 1
    union = is_other.cumsum(0, dtype=torch.int32) + count.to(ranks.dtype)
    steps = (union - ranks).div_(union - 1).masked_fill_(is_other == 0, -1).div_(union)  # the sign of an own error
    if may_be_absent:  # then 1 - I/U jumps to 1 with the first pixel, where the closed form is 0/0
        steps = torch.where(count > 0, steps, (ranks == 1).to(steps.dtype))
    out.scatter_(0, places, steps.to(out.dtype))
    return torch.dot(out, signed_error)


INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}
BITS_OF_ONE = {torch.float32: 0x3F80_0000, torch.float64: 0x3FF0_0000_0000_0000}


def sort_keys(signed_error: Tensor) -> Tensor:
    """Integers that ascend as |signed_error| descends, the lowest bit 0 where its sign bit is set, else 1.

    Floats in [0, 1] are ordered as their bits are, and the bits of 1.0 leave room for one more below the
    sign, so that the pixels' kind need not be gathered after the sort.

    Args:
        signed_error: (P,) float32 or float64, in [-1, 1]. nan may sort anywhere.
    """
    integers = INTEGERS[signed_error.dtype]
    bits = signed_error.view(integers)
    own = bits >> (torch.iinfo(integers).bits - 1)  # -1 or 0
    return own.sub_(bits << 1).add_(2 * BITS_OF_ONE[signed_error.dtype] + 1)
