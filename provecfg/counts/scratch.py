"""Memory that is used again from image to image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """Arrays by name, as large as the largest that was asked for. Not for several threads at once.

    Fresh memory of a label map's size costs more than a filter's or a histogram's work on it.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, type[Any]], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], kind: type[Any]) -> NDArray[Any]:
        """An array of this shape and type with anything in it; the one of the name before is no more to be used."""
        size = math.prod(shape)
        held = self._held.get((name, kind))
        if held is None or held.size < size:
            held = self._held[name, kind] = np.empty(size, kind)
        return held[:size].reshape(shape)
