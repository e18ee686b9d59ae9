"""What a proof builds of a config, without building all that the config declares."""

from __future__ import annotations

import ast
import copy
import functools
from typing import Any

from mmseg.registry import MODELS, TRANSFORMS
from torch import nn

from provecfg.proof.built import Built
from provecfg.proof.declared.training_images import TrainingImages, padded_size, training_images, training_size
from provecfg.proof.image_shape import Size


def built_of(config: Any, model: nn.Module, crop: Size = (64, 64)) -> Built:
    """A model with the training pipeline of its config, and the sizes that this yields."""
    pipeline = [step for step in config.train_dataloader.dataset.pipeline if not step["type"].startswith("Load")]
    preprocessor = config.model.get("data_preprocessor") or config.get("data_preprocessor")
    images, padded, size = _sizes(repr([dict(step) for step in pipeline]), repr(preprocessor.to_dict()))
    return Built(model, crop, [_transform(step) for step in pipeline], images, padded, size)


@functools.cache
def _sizes(pipeline: str, preprocessor: str) -> tuple[TrainingImages | None, Size | None, Size | None]:
    transforms = [_transform(step) for step in ast.literal_eval(pipeline)]
    built = MODELS.build(ast.literal_eval(preprocessor))
    images = training_images(transforms, built)
    return images, padded_size(built), training_size(built, images)


def _transform(step: Any) -> Any:
    return TRANSFORMS.build(copy.deepcopy(step))
