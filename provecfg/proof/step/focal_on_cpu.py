"""mmseg's `FocalLoss` on the CPU, as it computes on a GPU.

Its branch for the CPU cannot take label maps: it picks one column of the one-hot labels where it means all but one
(`target[:, num_classes]`, mmseg 1.2.2 and OneDL's 1.4.2, losses/focal_loss.py). The branch for the GPU, which uses
mmcv's operator, is right, and is what trains.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from mmseg.models.losses.focal_loss import FocalLoss
from torch import Tensor
from torch.nn import functional


@contextlib.contextmanager
def focal_as_on_gpu() -> Iterator[None]:
    """Let `FocalLoss` take label maps on the CPU."""
    original = FocalLoss.forward

    def forward(
        self: FocalLoss, pred: Tensor, target: Tensor, weight: Tensor | None = None, *args: Any, **kwargs: Any
    ) -> Tensor:
        if pred.is_cuda or target.dim() == pred.dim():
            return original(self, pred, target, weight, *args, **kwargs)
        classes = pred.shape[1]
        valid = target != kwargs.get("ignore_index", 255)
        hot = functional.one_hot(target.where(valid, target.new_tensor(0)), num_classes=classes + 1)
        hot = hot[..., 1:2] if classes == 1 else hot[..., :classes]
        # Channels come second. The row of an ignored pixel is all zero, and its weight 0.
        hot = (hot * valid.unsqueeze(-1)).movedim(-1, 1)
        if weight is None:
            weight = valid.reshape(-1).to(pred.dtype)
        kwargs["ignore_index"] = -1  # no class: what is ignored has been seen to
        return original(self, pred, hot, weight, *args, **kwargs)

    FocalLoss.forward = forward
    try:
        yield
    finally:
        FocalLoss.forward = original
