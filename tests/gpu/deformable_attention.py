"""Multi-scale deformable attention at the sizes of Mask2Former's pixel decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

HEADS, CHANNELS, POINTS = 8, 32, 4
"""Of the pixel decoder in mmseg's Mask2Former configs: 256 channels in 8 heads, 4 points a level."""
STRIDES = (32, 16, 8)


class AttentionInputs(NamedTuple):
    """What mmcv's operator takes; see `provecfg.plugin.mmcv_ops`."""

    value: Tensor
    shapes: Tensor
    starts: Tensor
    locations: Tensor
    weights: Tensor


def attention_inputs(size: tuple[int, int, int], device: str) -> AttentionInputs:
    """For so many images of a height and width in pixels; every place of every level is a query.

    Args:
        size: (images, height, width).
        device: Where to.
    """
    images, height, width = size
    random = torch.Generator().manual_seed(0)
    shapes = torch.tensor([(height // stride, width // stride) for stride in STRIDES])
    areas = shapes.prod(1)
    queries, levels = int(areas.sum()), len(STRIDES)
    value = torch.randn(images, queries, HEADS, CHANNELS, generator=random)
    locations = torch.rand(images, queries, HEADS, levels, POINTS, 2, generator=random)
    weights = torch.rand(images, queries, HEADS, levels, POINTS, generator=random)
    weights = weights / weights.sum((3, 4), keepdim=True)
    starts = areas.cumsum(0) - areas
    return AttentionInputs(*(tensor.to(device) for tensor in (value, shapes, starts, locations, weights)))


class Attention:
    """Forward and backward, by functions with the arguments of `mmcv._ext`'s."""

    def __init__(self, forward: Callable[..., Tensor], backward: Callable[..., None], inputs: AttentionInputs) -> None:
        self._forward, self._backward, self._inputs = forward, backward, inputs

    def step(self) -> tuple[Tensor, ...]:
        """The output, and the gradients of its sum by value, locations and weights."""
        inputs, images = self._inputs, self._inputs.value.shape[0]
        output = self._forward(*inputs, im2col_step=images)
        gradients = tuple(torch.zeros_like(tensor) for tensor in (inputs.value, inputs.locations, inputs.weights))
        self._backward(*inputs, torch.ones_like(output), *gradients, im2col_step=images)
        return output, *gradients
