"""Bands along the boundaries of a label map, at several widths at once.

A pixel is in the band of width w where the square of (2 w + 1)^2 pixels around it holds another class than its own. For
the mask of any one class that is the mask less its erosion by that square, as Boundary IoU defines it (Cheng et al.
2021, arXiv:2103.16562; `mask_to_boundary` of their code): distance is chessboard distance.

All classes are done at once: a square holds one class alone where its least label is its greatest. The filters of a
wider band go on from those of the narrower one, of which a few squares cover the wider square. A distance transform to
the places where two classes touch takes longer, and cannot tell what lies behind ignored pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.scratch import Scratch

Labels = NDArray[np.unsignedinteger[Any]]
"""A label map, (H, W), of np.uint8 or np.uint16."""

FRACTIONS: Final = (0.000625, 0.00125, 0.0025, 0.005, 0.01, 0.02)
"""Widths of the bands as fractions of an image's diagonal; 2 % is the default of the paper's code."""
FRACTIONS_PER_IMAGE: Final = (0.005, 0.02)
"""Those of them that are kept for every image; of the others, sums."""


@dataclass(frozen=True, slots=True)
class BoundaryConvention:
    """What else is a boundary than a place where two classes meet.

    Args:
        image_border: The border of the image is one, as in the paper's code.
        ignored_border: The border of what is ignored is one. If not, ignored pixels are left out altogether: they
            neither make a boundary nor hide the one behind them.
    """

    image_border: bool = False
    ignored_border: bool = False


def band_widths(height: int, width: int) -> tuple[int, ...]:
    """The widths of the bands in pixels for an image of a size, one for each of `FRACTIONS`, at least 1."""
    diagonal = math.hypot(height, width)
    return tuple(max(1, round(fraction * diagonal)) for fraction in FRACTIONS)


def band_levels(
    labels: Labels,
    ignored: NDArray[np.bool_],
    widths: Sequence[int],
    convention: BoundaryConvention,
    scratch: Scratch,
    name: str = "levels",
    rows: slice = slice(None),
) -> NDArray[np.uint8]:
    """For each pixel, how many of the widths are too narrow for a band to reach it.

    Args:
        labels: (H, W); the two greatest values of its type are not used.
        ignored: (H, W), the pixels without a label.
        widths: In pixels, ascending.
        convention: What else is a boundary.
        scratch: Memory to work in, which keeps the result.
        name: Of the result in `scratch`.
        rows: Those of the map that are asked for, R of them.

    Returns:
        (R, W), in [0, len(widths)]: a pixel is in the band of `widths[k]` where it is at most k. Where ignored, any.
        The next of the same name overwrites it.
    """
    import cv2

    low, high = _extremes(labels, ignored, convention, scratch)
    frame = int(convention.image_border)
    inside = np.s_[frame : frame + labels.shape[0], frame : frame + labels.shape[1]]
    levels = scratch.array(name, labels[rows].shape, np.uint8)
    levels.fill(0)
    uniform = scratch.array("uniform", levels.shape, np.uint8)
    reach = 0
    for width in widths:
        if width > reach:
            square = _square(reach, width)
            # Beyond the map stand its outermost squares once more, which hold nothing that a wider one does not.
            cv2.erode(low, square, dst=low, borderType=cv2.BORDER_REPLICATE)
            cv2.dilate(high, square, dst=high, borderType=cv2.BORDER_REPLICATE)
            cv2.compare(low[inside][rows], high[inside][rows], cv2.CMP_EQ, dst=uniform)
            reach = width
        np.subtract(levels, uniform, out=levels)  # OpenCV's true is 255, in 8 bits -1
    return levels


def _extremes(
    labels: Labels, ignored: NDArray[np.bool_], convention: BoundaryConvention, scratch: Scratch
) -> tuple[Labels, Labels]:
    """The labels for the filters of least and of greatest labels; a pixel wider on each side with a border."""
    kind = labels.dtype.type
    greatest = np.iinfo(kind).max
    frame = int(convention.image_border)
    shape = (labels.shape[0] + 2 * frame, labels.shape[1] + 2 * frame)
    low, high = scratch.array("low", shape, kind), scratch.array("high", shape, kind)
    if frame:  # another class than any
        low.fill(greatest)
        high.fill(greatest)
    inside = np.s_[frame : shape[0] - frame, frame : shape[1] - frame]
    nowhere = scratch.array("nowhere", labels.shape, kind)
    if convention.ignored_border:
        np.multiply(ignored, kind(greatest - 1), out=nowhere)  # a label that no class has
        np.maximum(labels, nowhere, out=low[inside])
        high[inside] = low[inside]
    else:
        np.multiply(ignored, kind(greatest), out=nowhere)
        np.bitwise_or(labels, nowhere, out=low[inside])
        np.bitwise_not(nowhere, out=nowhere)
        np.bitwise_and(labels, nowhere, out=high[inside])
    return low, high


@cache
def _square(reach: int, width: int) -> NDArray[np.uint8]:
    """The middles of squares that reach `reach` pixels, and together cover the one that reaches `width`."""
    step = width - reach
    middles = np.rint(np.linspace(0, 2 * step, 1 + math.ceil(2 * step / (2 * reach + 1)))).astype(int)
    square = np.zeros((2 * step + 1,) * 2, np.uint8)
    square[np.ix_(middles, middles)] = 1
    return square
