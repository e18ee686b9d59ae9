"""Predictions of the real model for samples of a pipeline, at sizes that are small and fail as the real ones do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.structures import PixelData
from torch import nn

from provecfg.proof.image_shape import Size

_SMALL = 256
"""Pixels of a side of a crop of which two are predicted where one would do."""
_SHAPES = ("img_shape", "pad_shape", "ori_shape", "batch_input_shape")


def size_of(inputs: torch.Tensor) -> Size:
    """(height, width) in pixels of an image (C, H, W)."""
    return int(inputs.shape[-2]), int(inputs.shape[-1])


def shown_size(real: Size, test_cfg: Mapping[str, Any] | None, crop: Size) -> Size:
    """The size that an image is shown at in the place of its own.

    Args:
        real: (height, width) in pixels, as the pipeline yields it.
        test_cfg: Of the model, as declared. A window that slides over the image is all that the model sees of it.
        crop: That the model is known to predict, in the place of the window.

    Returns:
        Where it slides and the window fits in, the crop, or a crop and a half for a second window. Else an image that
        the crop divides with the same remainders, and so does every stride that divides the crop; of another size than
        the crop, unless the real one is of that.
    """
    window = test_cfg.get("crop_size") if test_cfg is not None and test_cfg.get("mode") == "slide" else None
    if window is not None and all(side >= of for side, of in zip(real, window, strict=True)):
        is_small = crop[0] * crop[1] <= _SMALL * _SMALL
        return crop[0], crop[1] * 3 // 2 if is_small else crop[1]
    height, width = (_with_remainder(side, of) for side, of in zip(real, crop, strict=True))
    if (height, width) == crop != real:
        return (height, width * 2) if real[1] > width else (height * 2, width)
    return height, width


def _with_remainder(side: int, crop: int) -> int:
    return side if side <= crop else crop + (side - crop) % crop


def cut(inputs: torch.Tensor, sample: Any, size: Size) -> tuple[torch.Tensor, Any]:
    """An image (C, H, W) and its sample, cut to a size that is not larger, as if the pipeline had yielded that."""
    height, width = size
    original = getattr(sample, "ori_shape", None) or size
    factor = [of / side for of, side in zip(original, size_of(inputs), strict=False)]
    cut_original = max(1, round(height * factor[0])), max(1, round(width * factor[1]))
    small = type(sample)(metainfo=dict(sample.metainfo))
    for name in _SHAPES:
        if name in sample.metainfo:
            small.set_metainfo({name: cut_original if name == "ori_shape" else size})
    for name, part in sample.items():
        if isinstance(part, PixelData):
            labels = part.data
            rows, columns = cut_original if labels.shape[-2:] == tuple(original[:2]) else size
            setattr(small, name, PixelData(data=labels[..., :rows, :columns]))
    return inputs[..., :height, :width], small


def predictions(model: nn.Module, batch: Mapping[str, Any]) -> list[Any]:
    """What the model predicts of a batch, as the loops of the validation and the test ask it. Its mode stays as it was.

    Args:
        model: A segmentor, or what averages its predictions over augmented images.
        batch: As the data loader hands it on.

    Raises:
        Exception: What the model raises.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            predicted: list[Any] = model.test_step(dict(batch))  # type: ignore[operator]
            return predicted
    finally:
        model.train(was_training)
