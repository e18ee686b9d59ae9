"""What a strategy does to a training image between the loading of its label map and the packing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provecfg.catalog.datasets import Dataset
from provecfg.catalog.strategies import Strategy
from provecfg.study.schema import Data


def training_pipeline(
    data: Data,
    dataset: Dataset,
    strategy: Strategy,
    label_loader: dict[str, Any],
    label_transforms: Sequence[dict[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The transforms of a training image.

    Args:
        data: The size of its crop.
        dataset: The size that it is scaled into.
        strategy: What else is done; a pipeline of the user's stands for the whole.
        label_loader: The transform that loads its label map.
        label_transforms: What makes other targets of the label map, for heads that have some.
    """
    if strategy.pipeline is not None:
        return [dict(step) for step in strategy.pipeline]
    return [
        {"type": "LoadImageFromFile"},
        label_loader,
        {
            "type": "RandomResize",
            "scale": data.resize_scale or dataset.resize_scale,
            "ratio_range": strategy.ratio_range,
            "keep_ratio": True,
        },
        {"type": "RandomCrop", "crop_size": data.crop_size, "cat_max_ratio": strategy.cat_max_ratio},
        {"type": "RandomFlip", "prob": strategy.flip_prob},
        *(_outside_ignored(dict(step), dataset) for step in strategy.transforms),
        *label_transforms,
        {"type": "PackSegInputs"},
    ]


def _outside_ignored(step: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """A transform that moves images, told which label the pixels from outside get."""
    return {**step, "ignore_index": dataset.ignore_index} if step["type"].startswith("Seg") else step


def mixing(preprocessor: dict[str, Any], strategy: Strategy) -> dict[str, Any]:
    """A data preprocessor that mixes the images of a batch, where the strategy does."""
    if not strategy.batch_augments:
        return preprocessor
    mixtures = [dict(mixture) for mixture in strategy.batch_augments]
    return {**preprocessor, "type": "MixingDataPreProcessor", "batch_augments": mixtures}
