"""Label maps drawn at random, and a prediction that is a little off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IGNORED = 255


def label_map(
    seed: int, height: int, width: int, classes: int, *, ignored: int = 0, cells: int = 25
) -> NDArray[np.int64]:
    """A map of flat cells, (H, W), with some discs of ignored pixels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    centres = rng.random((cells, 2)) * (height, width)
    distances = [(rows - row) ** 2 + (columns - column) ** 2 for row, column in centres]
    labels = rng.integers(classes, size=cells)[np.argmin(distances, axis=0)]
    for row, column in rng.random((ignored, 2)) * (height, width):
        labels[(rows - row) ** 2 + (columns - column) ** 2 < (height / 12) ** 2] = IGNORED
    return labels


def shifted(labels: NDArray[np.int64], down: int, right: int, behind_ignored: int = 0) -> NDArray[np.int64]:
    """The map moved, as a prediction of it; a prediction has no ignored pixels."""
    moved = np.roll(labels, (down, right), (0, 1))
    return np.where(moved == IGNORED, behind_ignored, moved)
