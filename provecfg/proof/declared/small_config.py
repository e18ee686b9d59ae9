"""A config made small where size does not matter: no pretrained weights, a small crop; the architecture stays."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from provecfg.proof.image_shape import Size
from provecfg.training.adapt import without_amp, without_pretrained

CROPS: tuple[Size, ...] = ((64, 64), (128, 128), (256, 256))
"""(height, width) in pixels to be tried in turn: a model may need more than the first, for its strides or poolings."""

_WRITES_TO = ("output_dir", "out_file_path", "outfile_prefix")
"""Arguments of metrics that write: mmseg's IoUMetric, mmengine's DumpResults, those that make files for a server."""


def shrunk(config: Config, device: str) -> Config:
    """A copy with random weights, in full precision where the device is the CPU, which has no other."""
    config = without_pretrained(config)
    return without_amp(config) if device == "cpu" and isinstance(config.get("optim_wrapper"), dict) else config


def writing_into(evaluator: Any, folder: Path) -> Any:
    """An evaluator's dict, or several, with what it writes going into a folder. It is changed, not copied."""
    if isinstance(evaluator, dict):
        for key in _WRITES_TO:
            if evaluator.get(key):
                evaluator[key] = str(folder / "predictions" / Path(str(evaluator[key])).name)
        return {key: writing_into(value, folder) if key == "metrics" else value for key, value in evaluator.items()}
    if isinstance(evaluator, (list, tuple)):
        return [writing_into(metric, folder) for metric in evaluator]
    return evaluator


def show_crop(model: Any, crop: Size) -> None:
    """Let a built segmentor pad its training images to `crop`, and slide over test images by a window of that size.

    What it was declared with keeps its proportions, so that a stride larger than the window stays one.

    Args:
        model: A model with a `data_preprocessor` and a `test_cfg`, as mmseg's segmentors have them.
        crop: (height, width) in pixels.
    """
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    if getattr(preprocessor, "size", None) is not None:
        preprocessor.size = crop
    if getattr(preprocessor, "size_divisor", None) is not None:
        # Padding a small crop to a large multiple would undo the shrinking; the crop is a multiple of the strides.
        preprocessor.size_divisor = min(preprocessor.size_divisor, min(crop))
    for part in {id(part): part for part in (model, preprocessor) if part is not None}.values():
        test = getattr(part, "test_cfg", None)
        if isinstance(test, dict):
            part.test_cfg = _with_window(test, crop)


def _with_window(test: Any, crop: Size) -> Any:
    test = copy.deepcopy(test)
    window: Any = dict.get(test, "crop_size")
    stride: Any = dict.get(test, "stride")
    if _is_size(window):
        dict.__setitem__(test, "crop_size", crop)
        if _is_size(stride):
            dict.__setitem__(
                test,
                "stride",
                tuple(max(1, step * to // of) for step, of, to in zip(stride, window, crop, strict=True)),
            )
    if _is_size(dict.get(test, "size")):
        dict.__setitem__(test, "size", crop)
    return test


def _is_size(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value)
