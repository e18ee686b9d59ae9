"""What an augmentation changes, counted over seeded draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from provecfg.proof.data.sample_reader import seed_all

DRAWS = 200
"""Draws of an augmentation: a share that is off by 0.2 is met with certainty, for all that chance can do."""
_DEVIATIONS = 5.0
"""Standard deviations between two shares that are not of one probability: by chance once in two million."""

Picture = tuple[np.ndarray, np.ndarray]
"""An image, (H, W, C), and its labels, (H, W); or those of a batch, (N, C, H, W) and (N, H, W)."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What was counted.

    Args:
        number: How often it was drawn.
        changed: Draws in which a pixel or a label changed.
        pixels, labels: Share of the pixels and of the labels that changed, of the draws in which something did.
        ignored: Share of the labels that are ignored in these, less what it was before.
    """

    number: int
    changed: int
    pixels: float
    labels: float
    ignored: float

    @property
    def share(self) -> float:
        """Of the draws in which something changed."""
        return self.changed / self.number

    def text(self) -> str:
        """For a person."""
        if not self.changed:
            return f"changes none of {self.number}"
        return (
            f"changes {self.share:.0%} of {self.number}: {self.pixels:.0%} of their pixels, {self.labels:.0%} of their "
            f"labels, {self.ignored:+.1%} ignored"
        )

    def evidence(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "draws": self.number,
            "changed": self.changed,
            "pixels": self.pixels,
            "labels": self.labels,
            "more_ignored": self.ignored,
        }


def counted(drawn: Callable[[int], tuple[Picture, Picture]], ignored: int, number: int = DRAWS) -> Draws:
    """Draw, and count what changed.

    Args:
        drawn: A seed to what was there before the augmentation and afterwards; the random numbers are of that seed, and
            whoever calls keeps those of the process.
        ignored: The label of no class.
        number: How often.
    """
    changed, pixels, labels, more_ignored = 0, 0.0, 0.0, 0.0
    for seed in range(number):
        seed_all(seed)
        (image, seg), (new_image, new_seg) = drawn(seed)
        other = _differing(image, new_image, channels=0 if image.ndim == 2 else 1 if image.ndim == 4 else 2)
        relabelled = seg != new_seg
        if other.any() or relabelled.any():
            changed += 1
            pixels += float(other.mean())
            labels += float(relabelled.mean())
            more_ignored += float((new_seg == ignored).mean() - (seg == ignored).mean())
    of = max(changed, 1)
    return Draws(number, changed, pixels / of, labels / of, more_ignored / of)


def _differing(image: np.ndarray, other: np.ndarray, channels: int) -> np.ndarray:
    different = image != other
    return different.any(axis=channels) if channels else different


def is_apart(own: Draws, always: Draws, probability: float) -> bool:
    """Whether a share is not that of the probability, allowing for chance.

    Args:
        own: Drawn with the probability.
        always: Drawn with a probability of 1: an augmentation may happen to change nothing.
        probability: In [0, 1].
    """
    expected = probability * always.share
    variance = expected * (1 - expected) / own.number
    variance += probability**2 * always.share * (1 - always.share) / always.number
    return abs(own.share - expected) > _DEVIATIONS * math.sqrt(variance) + 1 / own.number
