"""The model of a config, built for the checks that need one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(slots=True)
class Built:
    """A model as its config declares it, small where size does not matter.

    Args:
        model: The real classes on the subject's device, float32, in training mode, its weights random, SyncBN made BN.
            Its data preprocessor pads to `crop`.
        crop: (height, width) in pixels of the images that it is shown.
        batch_size: Images in a batch.
    """

    model: nn.Module
    crop: tuple[int, int]
    batch_size: int = 2
