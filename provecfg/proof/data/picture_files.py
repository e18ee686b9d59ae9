"""Pictures that can be made for a pipeline to read."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

BACKENDS = ("backend_args", "file_client_args")
"""Arguments of what loads files from elsewhere than this disk."""

_WRITTEN = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
_WITHOUT_ALPHA = frozenset({".jpg", ".jpeg"})
_OF_16_BITS = frozenset({".png", ".tif", ".tiff"})
_TIFF = frozenset({".tif", ".tiff"})
_CHANNELS = frozenset({1, 3, 4})
_MOST_OF_8_BITS = 255


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What the images of a file are.

    Args:
        channels: Of a pixel.
        bits: Of a channel: 8 or 16.
        is_tiff: Whether `tifffile` reads them, which takes any number of channels.
    """

    channels: int = 3
    bits: int = 8
    is_tiff: bool = False

    @property
    def largest(self) -> int:
        """The largest value of a channel."""
        return int(2**self.bits - 1)

    @classmethod
    def read_by(cls, color_type: Any, backend: Any, channels: int, bits: int) -> PixelFormat:
        """What a file has to hold for mmcv's loader to give images of so many channels and bits.

        Args:
            color_type: The loader's; but for `unchanged`, 8 bits of colour or grey come out whatever is in the file.
            backend: Its `imdecode_backend`; `tifffile` does not ask for the `color_type`.
            channels: That the model takes.
            bits: See `declared_bits`.
        """
        if backend == "tifffile":
            return cls(channels, bits, is_tiff=True)
        return cls(channels, bits) if color_type == "unchanged" else cls()


def declared_bits(config: Any) -> int:
    """How many bits a channel of a config's images has: 16 where they are normalised by more than 8 bits can hold."""
    model = config.get("model")
    parts = [config.get("data_preprocessor"), model.get("data_preprocessor") if isinstance(model, dict) else None]
    parts += [config.get(f"{split}_dataloader") for split in ("train", "val", "test")]
    return 16 if any(number > _MOST_OF_8_BITS for part in parts for number in _norms(part)) else 8


def _norms(part: Any) -> Iterator[float]:
    """The means and deviations in a part of a config."""
    if isinstance(part, dict):
        for name in ("mean", "std"):
            values = part.get(name)
            if isinstance(values, (list, tuple)):
                yield from (value for value in values if isinstance(value, (int, float)))
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, (list, tuple)) else ()
    for value in inner:
        yield from _norms(value)


def why_unwritable(image_suffix: str, label_suffix: str, pixels: PixelFormat) -> str | None:
    """Why no images of a format, or label maps, are made in files of such names; None where they are."""
    if pixels.channels not in _CHANNELS and not (pixels.is_tiff and find_spec("tifffile")):
        return f"images of {pixels.channels} channels are not written here"
    image_kind, label_kind = (Path(f"x{suffix}").suffix.lower() for suffix in (image_suffix, label_suffix))
    if {image_kind, label_kind} - _WRITTEN or (pixels.is_tiff and image_kind not in _TIFF):
        return f"files *{image_suffix} and *{label_suffix} are not written here"
    if pixels.channels == 4 and image_kind in _WITHOUT_ALPHA:
        return f"files *{image_suffix} do not have {pixels.channels} channels"
    if pixels.bits == 16 and image_kind not in _OF_16_BITS:
        return f"files *{image_suffix} do not have 16 bits"
    return None


def write_picture(path: Path, image: np.ndarray) -> None:
    """Write an image.

    Args:
        path: Its file; the folder is there.
        image: (H, W) or (H, W, channels), uint8 or uint16.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if channels not in _CHANNELS:
        writer: Any = importlib.import_module("tifffile")
        writer.imwrite(path, image, photometric="minisblack", planarconfig="contig")
    elif image.dtype == np.uint16:
        cv2.imwrite(str(path), image)  # Pillow has no colours of 16 bits
    else:
        Image.fromarray(image).save(path)
