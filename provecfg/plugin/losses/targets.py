"""Label maps made safe to compute with: which pixels count, and labels that can index classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

DEFAULT_IGNORE_INDEX = 255  # mmseg's own, BaseDecodeHead(ignore_index=255)


class Targets(NamedTuple):
    """A label map that was read by `read_targets`.

    Attributes:
        labels: (N, ...) int64, in [0, C); 0 where a pixel does not count.
        valid: (N, ...) bool, True where a pixel counts.
        num_classes: C.
        ignore_index: The label that meant "does not count".
        poison: () float, nan where labels were out of range and could not be refused, else 0; None where
            they were checked. Added to a loss value it shows the mistake in the log.
    """

    labels: Tensor
    valid: Tensor
    num_classes: int
    ignore_index: int
    poison: Tensor | None


def resolve_ignore_index(own: int | None, from_head: int | None) -> int:
    """The label that means "does not count".

    Args:
        own: What the loss was constructed with, or None.
        from_head: What the decode head passes to the call, or None.

    Returns:
        The head's value where it gives one, else the constructor's, else 255.

    Raises:
        ValueError: Both are given and differ.
    """
    if own is not None and from_head is not None and own != from_head:
        raise ValueError(
            f"the loss was built with ignore_index={own}, and its head ignores {from_head}: "
            "leave ignore_index out of the loss, the head's is used"
        )
    if from_head is not None:
        return from_head
    return DEFAULT_IGNORE_INDEX if own is None else own


def read_targets(seg_label: Tensor, num_classes: int, ignore_index: int, dtype: torch.dtype) -> Targets:
    """Split a label map into labels that can index classes, and a mask of the pixels that count.

    On CPU a wrong label is refused by value. Elsewhere (CUDA, or while torch.compile traces) looking at
    values would cost a synchronisation or a graph break, and indexing with them a device assert: such pixels
    do not count, and `Targets.poison` is nan.

    Args:
        seg_label: (N, ...) integer label map of any integer dtype.
        num_classes: C.
        ignore_index: The label that means "does not count"; may lie inside [0, C).
        dtype: Dtype of `Targets.poison`.

    Raises:
        ValueError: seg_label is not an integer tensor, or (on CPU) holds a label outside [0, C) other than
            ignore_index; names the label.
    """
    if seg_label.dtype.is_floating_point or seg_label.dtype.is_complex or seg_label.dtype is torch.bool:
        raise ValueError(f"labels must be an integer tensor, not {seg_label.dtype}")
    labels = seg_label.long()
    counts = labels != ignore_index
    labels = labels.where(counts, 0)
    if looks_at_values(labels):
        if labels.numel():
            low, high = torch.aminmax(labels)
            for extreme in (int(low), int(high)):
                if not 0 <= extreme < num_classes:
                    raise ValueError(
                        f"label {extreme} is outside [0, {num_classes}): the logits have {num_classes} "
                        f"classes, and only {ignore_index} is ignored"
                    )
        return Targets(labels, counts, num_classes, ignore_index, None)
    in_range = (labels >= 0) & (labels < num_classes)
    poison = torch.where(in_range.all(), 0.0, torch.nan).to(dtype)
    return Targets(labels.where(in_range, 0), counts & in_range, num_classes, ignore_index, poison)


def compact_labels(labels: Tensor, largest: int) -> Tensor:
    """Labels in [0, largest] in the smallest dtype: comparing bytes is several times as fast as int64."""
    return labels.to(torch.uint8 if largest <= 255 else torch.int32)


def looks_at_values(tensor: Tensor) -> bool:
    """Whether looking at values costs nothing: not so on CUDA and while torch.compile traces."""
    return tensor.is_cpu and not torch.compiler.is_compiling()


def host_values(tensor: Tensor) -> Any:
    """`tensor.tolist()`, where looking at values costs nothing, else None."""
    return tensor.tolist() if looks_at_values(tensor) else None
