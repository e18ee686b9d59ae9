"""How label maps hold classes: the encodings that a dataset can have, and the numbers of Cityscapes' labels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ENCODINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ids": "one channel of numbers, of 8 or 16 bits",
        "palette": "one channel of indices of a palette, whose colours mean nothing to a model",
        "cityscapes_label_ids": "one channel of Cityscapes' label ids, 0 to 33, of which 19 are trained",
        "rgb": "three channels, a colour for each class",
        "repeated": "three equal channels, each a number",
        "binary_255": "one channel of 0 and 255, the second class",
    }
)
"""Name of an encoding -> what is in the files."""

IGNORED: Final = 255
"""The label of pixels that belong to no class, in training."""

LARGEST_VALUE: Final = 65535
"""Of a pixel in a label map of numbers, which has 16 bits at most."""
MOST_CLASSES: Final = 254
"""A label map in training has bytes, of which 255 is ignored and 254 is kept for what a mapping leaves out."""

CITYSCAPES_LABEL_IDS: Final[Mapping[int | str, int]] = MappingProxyType(
    # cityscapesScripts, helpers/labels.py: id -> trainId
    {
        **dict.fromkeys((0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30), IGNORED),
        7: 0,
        8: 1,
        11: 2,
        12: 3,
        13: 4,
        17: 5,
        19: 6,
        20: 7,
        21: 8,
        22: 9,
        23: 10,
        24: 11,
        25: 12,
        26: 13,
        27: 14,
        28: 15,
        31: 16,
        32: 17,
        33: 18,
    }
)
"""Cityscapes' label ids -> train ids; the licence plate, -1, is 255 in a file of bytes and is ignored, too."""


def label_values(encoding: str, classes: int, mapping: Mapping[int | str, int] | None) -> Mapping[int | str, int]:
    """What each value of a file means: number, or colour as `#rrggbb`, to class or `IGNORED`.

    Args:
        encoding: Of the files.
        classes: How many there are, where the mapping is the encoding's own.
        mapping: What the dataset says, or None.
    """
    if mapping is not None:
        return mapping
    if encoding == "cityscapes_label_ids":
        return {**CITYSCAPES_LABEL_IDS, IGNORED: IGNORED}
    if encoding == "binary_255":
        return {0: 0, 255: 1}
    return {**{value: value for value in range(classes)}, IGNORED: IGNORED}
