"""Sizes and channels of the images that a model is shown."""

from __future__ import annotations

import torch
from torch import nn

Size = tuple[int, int]
"""(height, width) in pixels."""


def image_channels(part: nn.Module) -> int:
    """Channels of the images that a model takes: its data preprocessor has a mean for each, or its first layer says.

    Args:
        part: A model, or its data preprocessor alone.
    """
    mean = getattr(getattr(part, "data_preprocessor", part), "mean", None)
    if isinstance(mean, torch.Tensor) and mean.numel() > 1:
        return mean.numel()
    backbone = getattr(part, "backbone", None)
    convolutions = (layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)) if backbone else ()
    return next((layer.in_channels for layer in convolutions), 3)
