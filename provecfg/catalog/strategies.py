"""The training strategies that a study can name: how an image becomes a training crop, and crops a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Strategy:
    """Random resize, crop and flip, and what is done to some of the images.

    Args:
        name: What a study calls it.
        title: What it does, in words.
        ratio_range: Smallest and largest factor on the dataset's scale.
        cat_max_ratio: Largest share that one class may have in a crop, in (0, 1]; above it the crop is drawn again.
        flip_prob: Probability of a horizontal flip, in [0, 1].
        transforms: Of a crop, after its flip.
        batch_augments: Of a batch, as `MixingDataPreProcessor` has them.
        source: Where the numbers are from.
        pipeline: All transforms of a training image, in place of the above; None for these.
        manifest: List of generated images that are trained on beside the real ones, or None.
        generated_share: Share of generated images in every batch, in [0, 1].
    """

    name: str
    title: str
    ratio_range: tuple[float, float]
    cat_max_ratio: float
    flip_prob: float
    transforms: tuple[Mapping[str, Any], ...]
    source: str
    batch_augments: tuple[Mapping[str, Any], ...] = ()
    pipeline: tuple[Mapping[str, Any], ...] | None = None
    manifest: str | None = None
    generated_share: float = 0.0


_PROVE = "PROVE's std_* strategies: one augmentation beside crop and flip, for half of the images"
_PROB = 0.5


def _with(
    name: str,
    title: str,
    transforms: tuple[Mapping[str, Any], ...] = (),
    batch_augments: tuple[Mapping[str, Any], ...] = (),
) -> Strategy:
    return Strategy(
        name=name,
        title=f"crop, horizontal flip{title and ', '}{title}",
        ratio_range=(1.0, 1.0),
        cat_max_ratio=0.75,  # _base_/datasets/bdd100k.py
        flip_prob=0.5,
        transforms=transforms,
        batch_augments=batch_augments,
        source=_PROVE,
    )


_DISTORTION: Mapping[str, Any] = MappingProxyType({"type": "PhotoMetricDistortion"})

_ALL = (
    Strategy(
        name="baseline",
        title="random resize, crop, horizontal flip, photometric distortion",
        ratio_range=(0.5, 2.0),
        cat_max_ratio=0.75,
        flip_prob=0.5,
        transforms=(_DISTORTION,),
        source="_base_/datasets/bdd100k.py",
    ),
    _with("minimal", ""),
    _with(
        "photometric_distort",
        "photometric distortion of half of the images",
        transforms=(MappingProxyType({"type": "RandomApply", "transforms": [dict(_DISTORTION)], "prob": _PROB}),),
    ),
    _with(
        "autoaugment",
        "AutoAugment of half of the images",
        transforms=(MappingProxyType({"type": "SegAutoAugment", "prob": _PROB}),),
    ),
    _with(
        "randaugment",
        "RandAugment of half of the images",
        transforms=(MappingProxyType({"type": "SegRandAugment", "num_ops": 2, "magnitude": 9, "prob": _PROB}),),
    ),
    _with(
        "cutmix",
        "CutMix of half of the batches",
        batch_augments=(MappingProxyType({"kind": "cutmix", "alpha": 1.0, "prob": _PROB}),),
    ),
    _with(
        "mixup",
        "Mixup of half of the batches",
        batch_augments=(MappingProxyType({"kind": "mixup", "alpha": 0.4, "prob": _PROB}),),
    ),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({strategy.name: strategy for strategy in _ALL})
