"""What was built of a config, for the checks that need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from provecfg.proof.declared.declaration import Declaration
from provecfg.proof.declared.training_images import TrainingImages
from provecfg.proof.image_shape import Size


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
        validation_size: (height, width) in pixels of an image of the validation, once that has been read; None before,
            and where the data alone says it.
    """

    model: nn.Module | None
    crop: Size
    transforms: Sequence[Any] = ()
    images: TrainingImages | None = None
    padded_size: Size | None = None
    training_size: Size | None = None
    declaration: Declaration | None = None
    batch_size: int = 2
    validation_size: Size | None = None

    @classmethod
    def nothing(cls) -> Built:
        """What there is where building failed by itself."""
        return cls(None, (0, 0))
