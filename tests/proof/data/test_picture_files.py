from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile

from provecfg.proof.data.picture_files import PixelFormat, declared_bits, why_unwritable, write_picture
from provecfg.proof.data.synthetic_images import picture

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("channels", "bits", "suffix", "backend"),
    [
        (1, 8, ".png", "cv2"),
        (3, 8, ".jpg", "cv2"),
        (4, 8, ".png", "cv2"),
        (1, 16, ".png", "cv2"),
        (3, 16, ".tif", "cv2"),
        (4, 16, ".png", "cv2"),
        (10, 16, ".tif", "tifffile"),
        (10, 8, ".tiff", "tifffile"),
    ],
)
def test_mmcvs_loader_reads_the_channels_and_bits_that_were_written(
    channels: int, bits: int, suffix: str, backend: str, tmp_path: Path
) -> None:
    pixels = PixelFormat.read_by("unchanged", backend, channels, bits)
    assert why_unwritable(suffix, ".png", pixels) is None
    path = tmp_path / f"image{suffix}"
    write_picture(path, picture((40, 30), 0, pixels))
    image = LoadImageFromFile(color_type="unchanged", imdecode_backend=backend)({"img_path": str(path)})["img"]
    assert image.reshape(30, 40, -1).shape[2] == channels
    assert (image.dtype, image.max() > pixels.largest // 2) == (np.dtype(f"uint{bits}"), True)


@pytest.mark.parametrize(
    ("suffix", "pixels", "reason"),
    [
        (".npy", PixelFormat(), "files *.npy and *.png are not written here"),
        (".png", PixelFormat(10), "images of 10 channels are not written here"),
        (".png", PixelFormat(10, is_tiff=True), "files *.png and *.png are not written here"),
        (".jpg", PixelFormat(4), "files *.jpg do not have 4 channels"),
        (".jpg", PixelFormat(3, 16), "files *.jpg do not have 16 bits"),
    ],
)
def test_what_no_such_file_holds_is_not_written(suffix: str, pixels: PixelFormat, reason: str) -> None:
    assert why_unwritable(suffix, ".png", pixels) == reason


def test_a_loader_of_colours_makes_three_channels_of_8_bits_of_anything() -> None:
    assert PixelFormat.read_by("color", "cv2", 4, 16) == PixelFormat(3, 8)


@pytest.mark.parametrize(
    ("config", "bits"),
    [
        ({}, 8),
        ({"model": {"data_preprocessor": {"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]}}}, 8),
        ({"model": {"data_preprocessor": {"mean": [1353.7] * 4, "std": [245.0] * 4}}}, 16),
        ({"data_preprocessor": {"mean": [200.0], "std": [900.0]}}, 16),
        ({"train_dataloader": {"dataset": {"pipeline": [{"type": "Normalize", "mean": [5e3], "std": [1.0]}]}}}, 16),
    ],
)
def test_means_beyond_8_bits_say_that_there_are_16(config: dict[str, Any], bits: int) -> None:
    assert declared_bits(config) == bits
