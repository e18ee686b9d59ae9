"""The training strategies that a study can name: how an image becomes a training crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Strategy:
    """Random resize, crop, flip and photometric distortion.

    Args:
        name: What a study calls it.
        title: What it does, in words.
        ratio_range: Smallest and largest factor on the dataset's scale.
        cat_max_ratio: Largest share that one class may have in a crop, in (0, 1]; above it the crop is drawn again.
        flip_prob: Probability of a horizontal flip, in [0, 1].
        photometric_distortion: Whether brightness, contrast, saturation and hue are jittered.
        source: mmseg file that the numbers are from.
    """

    name: str
    title: str
    ratio_range: tuple[float, float]
    cat_max_ratio: float
    flip_prob: float
    photometric_distortion: bool
    source: str


_ALL = (
    Strategy(
        name="baseline",
        title="random resize, crop, horizontal flip, photometric distortion",
        ratio_range=(0.5, 2.0),
        cat_max_ratio=0.75,
        flip_prob=0.5,
        photometric_distortion=True,
        source="_base_/datasets/bdd100k.py",
    ),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({strategy.name: strategy for strategy in _ALL})
