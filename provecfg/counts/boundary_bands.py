"""Bands along the boundaries of a label map, at several widths at once.

A pixel is in the band of width w where the square of (2 w + 1)^2 pixels around it holds another class than its own. For
the mask of any one class that is the mask less its erosion by that square, as Boundary IoU defines it (Cheng et al.
2021, arXiv:2103.16562; `mask_to_boundary` of their code): distance is chessboard distance.

All classes are done at once: a square holds one class alone where its least label is its greatest. The filters of a
wider band go on from those of the narrower one. A distance transform to the places where two classes touch takes as
long for the widest band alone, and cannot tell what lies behind ignored pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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
    labels: Labels, ignored: NDArray[np.bool_], widths: Sequence[int], convention: BoundaryConvention
) -> NDArray[np.uint8]:
    """For each pixel, how many of the widths are too narrow for a band to reach it.

    Args:
        labels: (H, W); the two greatest values of its type are not used.
        ignored: (H, W), the pixels without a label.
        widths: In pixels, ascending.
        convention: What else is a boundary.

    Returns:
        (H, W), in [0, len(widths)]: a pixel is in the band of `widths[k]` where it is at most k. Where ignored, any.
    """
    greatest = np.iinfo(labels.dtype).max
    nowhere = np.multiply(ignored, greatest, dtype=labels.dtype)
    if convention.ignored_border:
        low = np.maximum(labels, np.minimum(nowhere, greatest - 1))  # a label that no class has
        high = low.copy()
    else:
        low, high = labels | nowhere, labels & ~nowhere  # the identities of the two filters
    steps = np.diff([0, *widths]).tolist()
    shifted = [step for step, reach in zip(steps, [0, *widths], strict=False) if _is_shifted(step, reach)]
    frame, margin = int(convention.image_border), sum(shifted)
    low, high = np.pad(low, frame, constant_values=greatest), np.pad(high, frame, constant_values=greatest)
    low, high = np.pad(low, margin, constant_values=greatest), np.pad(high, margin, constant_values=0)
    levels = np.zeros(labels.shape, np.uint8)
    uniform = np.empty(labels.shape, np.bool_)
    reach = 0
    for step in steps:
        if step:
            low, high = _widened(low, reach, step, least=True), _widened(high, reach, step, least=False)
            margin -= step if _is_shifted(step, reach) else 0
            rim = frame + margin
            inside = np.s_[rim : low.shape[0] - rim, rim : low.shape[1] - rim]
            np.equal(low[inside], high[inside], out=uniform)
            reach += step
        levels += uniform.view(np.uint8)
    return levels


def _widened(values: Labels, reach: int, step: int, *, least: bool) -> Labels:
    """The least or greatest labels of squares that reach `step` pixels further than those of `values`.

    Where that is done by shifting, there are none for the outermost `step` pixels, which are left out.
    """
    import cv2

    if not _is_shifted(step, reach):
        square = np.ones((2 * step + 1,) * 2, np.uint8)
        # Beyond the image OpenCV puts the identity of the filter.
        return np.asarray((cv2.erode if least else cv2.dilate)(values, square), values.dtype)
    extreme = np.minimum if least else np.maximum
    for _ in range(2):
        # Of squares that touch, the outermost two cover the wider one; of squares that do not, one between them, too.
        wider = extreme(values[: -2 * step], values[2 * step :])
        if step > reach:
            extreme(wider, values[step:-step], out=wider)
        values = wider.T
    return values


def _is_shifted(step: int, reach: int) -> bool:
    """Whether squares are widened by shifting: a wide step over squares that are wide already.

    From 12 on it takes a third of the time of OpenCV's filter or less; at 5 the filter is quicker.
    """
    return 8 <= step <= 2 * reach + 1
