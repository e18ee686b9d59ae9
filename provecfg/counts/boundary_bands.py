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
) -> NDArray[np.uint8]:
    """For each pixel, how many of the widths are too narrow for a band to reach it.

    Args:
        labels: (H, W); the two greatest values of its type are not used.
        ignored: (H, W), the pixels without a label.
        widths: In pixels, ascending.
        convention: What else is a boundary.
        scratch: Memory to work in, which keeps the result.
        name: Of the result in `scratch`.

    Returns:
        (H, W), in [0, len(widths)]: a pixel is in the band of `widths[k]` where it is at most k. Where ignored, any.
        The next of the same name overwrites it.
    """
    steps = np.diff([0, *widths]).tolist()
    margin = sum(step for step, reach in zip(steps, [0, *widths], strict=False) if _is_shifted(step, reach))
    low, high = _extremes(labels, ignored, convention, margin, scratch)
    levels = scratch.array(name, labels.shape, np.uint8)
    levels.fill(0)
    uniform = scratch.array("uniform", labels.shape, np.bool_)
    reach = 0
    for index, step in enumerate(steps):
        if step:
            low = _widened(low, reach, step, scratch, f"low {index % 2}")
            high = _widened(high, reach, step, scratch, f"high {index % 2}")
            rows, columns = ((size - of_labels) // 2 for size, of_labels in zip(low.shape, labels.shape, strict=True))
            inside = np.s_[rows : low.shape[0] - rows, columns : low.shape[1] - columns]
            np.equal(low[inside], high[inside], out=uniform)
            reach += step
        levels += uniform.view(np.uint8)
    return levels


def _extremes(
    labels: Labels, ignored: NDArray[np.bool_], convention: BoundaryConvention, margin: int, scratch: Scratch
) -> tuple[Labels, Labels]:
    """The labels for the filters of least and of greatest labels, with so many pixels around that change nothing."""
    kind = labels.dtype.type
    greatest = np.iinfo(kind).max
    frame = margin + int(convention.image_border)
    shape = (labels.shape[0] + 2 * frame, labels.shape[1] + 2 * frame)
    low, high = scratch.array("low", shape, kind), scratch.array("high", shape, kind)
    low.fill(greatest)
    high.fill(0)
    if convention.image_border:  # another class than any, a pixel wide
        around = np.s_[margin : shape[0] - margin, margin : shape[1] - margin]
        low[around] = high[around] = greatest
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


def _widened(values: Labels, reach: int, step: int, scratch: Scratch, name: str) -> Labels:
    """The least (of a name with `low`) or greatest labels of squares that reach `step` pixels further than before.

    Where that is done by shifting, there are none for the outermost `step` pixels, which are left out.
    """
    import cv2

    kind, is_least = values.dtype.type, name.startswith("low")
    if not _is_shifted(step, reach):
        wider = scratch.array(name, values.shape, kind)
        square = np.ones((2 * step + 1,) * 2, np.uint8)
        # Beyond the image OpenCV puts the identity of the filter.
        (cv2.erode if is_least else cv2.dilate)(values, square, dst=wider)
        return wider
    extreme = np.minimum if is_least else np.maximum
    height, width = values.shape[0] - 2 * step, values.shape[1] - 2 * step
    # Of squares that touch, the outermost two cover the wider one; of squares that do not, one between them, too.
    tall = scratch.array("tall", (height, values.shape[1]), kind)
    extreme(values[: -2 * step], values[2 * step :], out=tall)
    if step > reach:
        extreme(tall, values[step:-step], out=tall)
    wider = scratch.array(name, (height, width), kind)
    extreme(tall[:, : -2 * step], tall[:, 2 * step :], out=wider)
    if step > reach:
        extreme(wider, tall[:, step:-step], out=wider)
    return wider


def _is_shifted(step: int, reach: int) -> bool:
    """Whether squares are widened by shifting: a wide step over squares that are wide already.

    From 12 on it takes half of the time of OpenCV's filter or less; at 5 the filter is quicker.
    """
    return 8 <= step <= 2 * reach + 1
