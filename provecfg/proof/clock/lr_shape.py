"""The curve of a learning rate or momentum, in words and as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from provecfg.proof.clock.schedulers import Curve

_SAMPLES = 50


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """How the points of a curve are counted.

    Args:
        unit: What the points count: `iteration` or `epoch`.
        points_in_epoch: Points in an epoch, where the loop counts epochs.
    """

    unit: str
    points_in_epoch: int | None

    def at(self, point: int) -> str:
        """Number of the iteration or epoch of a point, counted as mmengine's log does, from 1."""
        if self.points_in_epoch is None:
            return str(point)
        epochs = point / self.points_in_epoch
        return f"{epochs:g}" if self.points_in_epoch == 1 else f"{epochs:.4g}"


def describe(curve: Curve, axis: TimeAxis) -> str:
    """The curve in words."""
    values, unit = curve.values, axis.unit
    first, last = float(values[0]), float(values[-1])
    top = int(np.argmax(values >= np.nanmax(values) * (1 - 1e-9)))
    peak = float(values[top])
    low = top + int(np.argmin(values[top:]))
    parts = []
    if np.all(values == first):
        return f"{curve.parameter} {first:.6g} throughout"
    if top > 0 and peak > first:
        parts.append(f"{first:.6g}, up to {peak:.6g} at {unit} {axis.at(top + 1)}")
    else:
        parts.append(f"{peak:.6g}")
    if values[low] < peak:
        parts.append(f"down to {float(values[low]):.6g} at {unit} {axis.at(low + 1)}")
        if last > values[low]:
            parts.append(f"{last:.6g} at the end")
    return f"{curve.parameter} {', '.join(parts)}"


def sampled(curve: Curve) -> dict[str, Any]:
    """The curve as plain data: at most 50 points, [index, value], the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(curve.values) - 1, min(_SAMPLES, len(curve.values))).astype(int))
    points = [[int(point), _plain(float(curve.values[point]))] for point in chosen]
    return {"parameter": curve.parameter, "base": _plain(curve.base), "share": round(curve.share, 6), "points": points}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
