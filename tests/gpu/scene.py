"""Logits and labels of a street, as large as they are in training."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = 255


class Scene(NamedTuple):
    """Logits (N, C, H, W) float32 of a half-trained net, and labels (N, H, W) int64 in patches, a tenth ignored."""

    logits: Tensor
    labels: Tensor

    def on(self, device: str) -> Scene:
        """The same numbers on a device."""
        return Scene(self.logits.to(device), self.labels.to(device))


def street(size: tuple[int, int, int, int], *, saturated: bool = False) -> Scene:
    """A scene of this size (N, C, H, W), the same for the same size, made on the CPU.

    Args:
        size: Of the logits.
        saturated: Whether the net is so sure, and at some pixels so wrong, that probabilities are 0 and 1.
    """
    images, classes, height, width = size
    random = torch.Generator().manual_seed(0)
    patch = max(2, min(height, width) // 16)
    rows, columns = -(-height // patch), -(-width // patch)
    # The square makes some classes common and others rare.
    coarse = (torch.rand(images, rows, columns, generator=random).square() * classes).long()
    coarse[torch.rand(coarse.shape, generator=random) < 0.1] = IGNORED
    labels = coarse.repeat_interleave(patch, 1).repeat_interleave(patch, 2)[:, :height, :width].contiguous()
    logits = 1.5 * torch.randn(size, generator=random)
    known = labels.where(labels != IGNORED, 0).unsqueeze(1)
    logits.scatter_add_(1, known, torch.full(known.shape, 3.0))
    return Scene(100 * logits if saturated else logits, labels)
