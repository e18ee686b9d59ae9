"""What was built of a config, for the checks that need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from provecfg.proof.declared.declaration import Declaration
    from provecfg.proof.declared.training_images import TrainingImages

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(slots=True)
class Built:
    """A model as its config declares it, small where size does not matter, and the training pipeline.

    Args:
        model: The real classes on the subject's device, float32, in training mode, its weights random, SyncBN made BN.
            Its data preprocessor pads to `crop`. None where it cannot be built.
        crop: (height, width) in pixels of the images that it is shown.
        transforms: Of the training data, in the order in which a sample goes through them.
        images: How large the images are that it would be trained on; None where that depends on the data.
        padded_size: (height, width) in pixels that the data preprocessor would pad them to, or None.
        training_size: (height, width) in pixels of a batch of training, or None where nothing says it.
        declaration: What was seen while all that the config declares was built.
        batch_size: Images in a batch that it is shown.
    """

    model: nn.Module | None
    crop: Size
    transforms: Sequence[Any] = ()
    images: TrainingImages | None = None
    padded_size: Size | None = None
    training_size: Size | None = None
    declaration: Declaration | None = None
    batch_size: int = 2

    @classmethod
    def nothing(cls) -> Built:
        """What there is where building failed by itself."""
        return cls(None, (0, 0))


def image_channels(part: nn.Module) -> int:
    """Channels of the images that a model takes: its data preprocessor has a mean for each, or its first layer says.

    Args:
        part: A model, or its data preprocessor alone.
    """
    mean = getattr(getattr(part, "data_preprocessor", part), "mean", None)
    if isinstance(mean, torch.Tensor) and mean.numel() > 1:
        return mean.numel()
    backbone = getattr(part, "backbone", None)
    convolutions = (layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)) if backbone else ()
    return next((layer.in_channels for layer in convolutions), 3)
