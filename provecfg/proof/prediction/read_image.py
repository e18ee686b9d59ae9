"""One image through a pipeline of the validation or the test: its own loaders, its own sizes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from provecfg.data.encodings import LabelDecoder
from provecfg.proof.data.picture_files import BACKENDS, PixelFormat, why_unwritable, write_picture
from provecfg.proof.image_shape import Size

_MOST_PIXELS = 1_000_000
"""Of the file. A pipeline that scales to a size makes the larger one of it."""


class UnreadableError(Exception):
    """No image can be made for a pipeline: says why."""


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A transform that raised.

    Args:
        index: Its place in the pipeline.
        name: Its class's name.
        error: What it raised.
        by_stack: Whether it is of a class of the stack.
    """

    index: int
    name: str
    error: Exception
    by_stack: bool


def read_image(
    transforms: Sequence[Any],
    dataset: Any,
    channels: int,
    folder: Path,
    *,
    bits: int = 8,
    otherwise: Size | None = None,
) -> Any:
    """The packed sample that a pipeline makes of one image and its label map.

    The image has the size that the pipeline scales to, so that nothing but the pipeline decides what comes out.

    Args:
        transforms: Of the pipeline, built; they are copied.
        dataset: What reads it: the file's suffix and what its labels are, are asked of it.
        channels: Of the images that the model takes.
        folder: Where the files may be written.
        bits: Of a channel of the images, 8 or 16.
        otherwise: (height, width) in pixels of the image where the pipeline scales to none.

    Returns:
        The sample, or the `StepFailure` of the transform that raised.

    Raises:
        UnreadableError: The pipeline does not say how large its images are, or reads none that can be written here.
    """
    transforms = copy.deepcopy(list(transforms))
    for part in (part for transform in transforms for part in _parts(transform)):
        part.__dict__.update({name: None for name in BACKENDS if getattr(part, name, None)})  # it is on this disk
    size = _scaled_to(transforms) or otherwise
    if size is None:
        raise UnreadableError("the size of its images is that of the data")
    reader = transforms[0] if transforms else None
    pixels = PixelFormat.read_by(
        getattr(reader, "color_type", None), getattr(reader, "imdecode_backend", None), channels, bits
    )
    data = _written(_smaller(size), dataset, pixels, folder)
    for index, transform in enumerate(transforms):
        try:
            data = transform(data)
        except Exception as error:  # the config's own classes raise what they like
            own = {type(part).__module__.partition(".")[0] for part in _parts(transform)}
            return StepFailure(index, type(transform).__name__, error, own <= {"mmcv", "mmseg", "mmengine", "builtins"})
        if data is None:
            raise UnreadableError(f"{type(transform).__name__} drops it")
    return data


def _scaled_to(transforms: Sequence[Any]) -> Size | None:
    """(height, width) that a transform scales or crops to; None where none says one."""
    for transform in transforms:
        for part in _parts(transform):
            for name in ("scale", "crop_size"):
                size: Any = getattr(part, name, None)
                if _is_size(size):  # mmcv's scale is (width, height)
                    return (size[1], size[0]) if name == "scale" else (size[0], size[1])
    return None


def _is_size(value: Any) -> bool:
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2
    return is_pair and all(isinstance(side, int) and side > 0 for side in value)


def _parts(transform: Any) -> Iterator[Any]:
    """A transform, and those in it, such as of a TestTimeAug."""
    yield transform
    for inner in getattr(transform, "subroutines", ()) or getattr(transform, "transforms", ()) or ():
        if hasattr(inner, "__dict__"):
            yield from _parts(inner)


def _smaller(size: Size) -> Size:
    """The size divided by a whole number, so that it keeps its shape, where there are many pixels."""
    height, width = size
    divisors = (number for number in range(1, 17) if height % number == width % number == 0)
    fitting = (number for number in divisors if height * width <= _MOST_PIXELS * number * number)
    divisor = next(fitting, 1)
    return height // divisor, width // divisor


def _written(size: Size, dataset: Any, pixels: PixelFormat, folder: Path) -> dict[str, Any]:
    """What a dataset hands to its pipeline, for an image of fields that is written to a file."""
    suffixes = [str(getattr(dataset, name, None) or ".png") for name in ("img_suffix", "seg_map_suffix")]
    reason = why_unwritable(suffixes[0], suffixes[1], pixels)
    if reason is not None:
        raise UnreadableError(reason)
    folder.mkdir(parents=True, exist_ok=True)
    image, labels = (folder / f"{kind}{suffix}" for kind, suffix in zip(("image", "labels"), suffixes, strict=True))
    rows, columns = (np.arange(side) // 32 for side in size)
    fields = ((rows[:, None] + columns[None, :]) % 2).astype(np.uint8)
    lights = fields * np.array(pixels.largest * 4 // 5, np.uint16 if pixels.bits == 16 else np.uint8)
    write_picture(image, lights if pixels.channels == 1 else np.repeat(lights[..., None], pixels.channels, axis=-1))
    decoder = getattr(dataset, "decoder", None)  # of the plugin's own datasets
    own = {"label_decoding": decoder} if isinstance(decoder, LabelDecoder) else {}
    (decoder.encode(fields) if isinstance(decoder, LabelDecoder) else Image.fromarray(fields)).save(labels)
    return {
        **own,
        "img_path": str(image),
        "seg_map_path": str(labels),
        "label_map": getattr(dataset, "label_map", None),
        "reduce_zero_label": bool(getattr(dataset, "reduce_zero_label", False)),
        "seg_fields": [],
        "sample_idx": 0,
    }
