"""The operations that AutoAugment and RandAugment are made of, on an image and its label map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

Array = npt.NDArray[np.uint8]
_STEPS: Final = 30  # magnitudes are 0 to 30, as Cubuk et al. 2020 have them


def _affine(image: Image.Image, labels: Image.Image, matrix: tuple[float, ...], fill: int) -> tuple[Image.Image, ...]:
    """Both by one matrix about the centre: what comes from outside is black in the image, `fill` in the label map."""
    width, height = image.size
    a, b, c, d, e, f = matrix
    x, y = width / 2, height / 2
    centred = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    moved = image.transform(image.size, Image.Transform.AFFINE, centred, Image.Resampling.BILINEAR)
    return moved, labels.transform(
        labels.size, Image.Transform.AFFINE, centred, Image.Resampling.NEAREST, fillcolor=fill
    )


def _matrix(name: str, magnitude: float, sign: int, width: int, height: int) -> tuple[float, ...]:
    """Where a pixel comes from. Largest: shear 0.3, translation 150 of 331 pixels, rotation 30 degrees."""
    share = sign * magnitude / _STEPS
    if name == "ShearX":
        return (1, 0.3 * share, 0, 0, 1, 0)
    if name == "ShearY":
        return (1, 0, 0, 0.3 * share, 1, 0)
    if name == "TranslateX":
        return (1, 0, 150 / 331 * width * share, 0, 1, 0)
    if name == "TranslateY":
        return (1, 0, 0, 0, 1, 150 / 331 * height * share)
    angle = math.radians(30 * share)
    return (math.cos(angle), math.sin(angle), 0, -math.sin(angle), math.cos(angle), 0)


GEOMETRY: Final = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
"""Operations that move pixels, and with them the labels."""
_COLOURS: Final[Mapping[str, Callable[[Image.Image, float, int], Image.Image]]] = {
    "Identity": lambda image, magnitude, sign: image,
    "Brightness": lambda image, magnitude, sign: ImageEnhance.Brightness(image).enhance(_factor(magnitude, sign)),
    "Color": lambda image, magnitude, sign: ImageEnhance.Color(image).enhance(_factor(magnitude, sign)),
    "Contrast": lambda image, magnitude, sign: ImageEnhance.Contrast(image).enhance(_factor(magnitude, sign)),
    "Sharpness": lambda image, magnitude, sign: ImageEnhance.Sharpness(image).enhance(_factor(magnitude, sign)),
    "Posterize": lambda image, magnitude, sign: ImageOps.posterize(image, 8 - round(4 * magnitude / _STEPS)),
    "Solarize": lambda image, magnitude, sign: ImageOps.solarize(image, round(256 * (1 - magnitude / _STEPS))),
    "AutoContrast": lambda image, magnitude, sign: ImageOps.autocontrast(image),
    "Equalize": lambda image, magnitude, sign: ImageOps.equalize(image),
    "Invert": lambda image, magnitude, sign: ImageOps.invert(image),
}
OPERATIONS: Final = (*GEOMETRY, *_COLOURS)


def _factor(magnitude: float, sign: int) -> float:
    return 1 + sign * 0.9 * magnitude / _STEPS


def apply_operation(
    name: str, image: Array, labels: Array, magnitude: float, sign: int, ignore_index: int
) -> tuple[Array, Array]:
    """An image and its label map after one operation.

    Args:
        name: One of `OPERATIONS`.
        image: (H, W, 3), red first.
        labels: (H, W).
        magnitude: How strong, 0 to 30; colour operations without a strength ignore it.
        sign: 1 or -1: which way.
        ignore_index: Label of pixels that come from outside of the image.

    Source: Cubuk et al. 2019 (arXiv:1805.09501), table 6, and 2020 (arXiv:1909.13719); the ranges are torchvision's,
        transforms/autoaugment.py. Differs: labels move with the image.
    """
    picture = Image.fromarray(image)
    if name in GEOMETRY:
        height, width = labels.shape
        matrix = _matrix(name, magnitude, sign, width, height)
        moved, moved_labels = _affine(picture, Image.fromarray(labels), matrix, ignore_index)
        return np.asarray(moved), np.asarray(moved_labels)
    return np.asarray(_COLOURS[name](picture, magnitude, sign)), labels
