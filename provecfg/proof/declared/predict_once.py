"""One prediction of a model on an image of noise: what it reads only then is read, and the smallest crop is found."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from provecfg.plugin.mmcv_ops import MissingOpError
from provecfg.proof.declared.small_config import CROPS, show_crop
from provecfg.proof.image_shape import Size, image_channels


def smallest_crop(model: nn.Module) -> tuple[Size, Exception | None]:
    """The first of `CROPS`, or else the declared one, that the model can predict at, with the model set to it.

    Returns:
        (height, width) in pixels, and what the model raised where it can predict at none.
    """
    before = ""
    error: Exception | None = None
    declared = _declared_crop(model)  # before it is changed
    for crop in (*CROPS, *([declared] if declared is not None else [])):
        show_crop(model, crop)
        try:
            predict(model, crop, slides=crop in CROPS)
        except MissingOpError:
            return crop, None  # of this machine, not of the config
        except Exception as raised:  # the config's own classes raise what they like
            error = raised
            if str(error) == before:
                break  # it is not about the size
            before = str(error)
        else:
            return crop, None
    show_crop(model, CROPS[0])
    return CROPS[0], error


def predict(model: Any, crop: Size, *, slides: bool = True) -> None:
    """Let a segmentor predict one image as the test loop does. Its mode stays as it was.

    Args:
        model: The segmentor.
        crop: (height, width) in pixels of the image.
        slides: Whether the image of a segmentor that slides a window is half as wide again, for more than one window.
    """
    slides = slides and dict.get(getattr(model, "test_cfg", None) or {}, "mode") == "slide"
    height, width = crop[0], crop[1] * 3 // 2 if slides else crop[1]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model.test_step(
                {
                    "inputs": [torch.randint(0, 256, (image_channels(model), height, width), dtype=torch.uint8)],
                    "data_samples": [_sample(height, width)],
                }
            )
    finally:
        model.train(was_training)


def _declared_crop(model: Any) -> Size | None:
    """The size that the model is declared for, and has parameters of, as some transformers have."""
    test = getattr(model, "test_cfg", None) or {}
    backbone = getattr(model, "backbone", None)
    sizes = (
        getattr(model.data_preprocessor, "size", None),
        dict.get(test, "crop_size"),
        getattr(backbone, "img_size", 0),
    )
    for size in sizes:
        if isinstance(size, int) and size > 0:
            return size, size
        if isinstance(size, (tuple, list)) and len(size) == 2:
            return size[0], size[1]
    return None


def _sample(height: int, width: int) -> SegDataSample:
    sample = SegDataSample(
        metainfo={
            "img_path": "",
            "ori_shape": (height, width),
            "img_shape": (height, width),
            "pad_shape": (height, width),
            "scale_factor": (1.0, 1.0),
            "flip": False,
            "flip_direction": None,
        }
    )
    sample.gt_sem_seg = PixelData(data=torch.zeros((1, height, width), dtype=torch.long))
    return sample
