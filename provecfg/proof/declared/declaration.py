"""What was seen while all that a config declares was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmengine.config import Config

from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.recorded_config import Reads


@dataclass(frozen=True, slots=True)
class Declaration:
    """What became of all that a config declares.

    Args:
        config: What was built: without pretrained weights, and small where size does not matter.
        parts: What was built of it, and what failed.
        by_path: Dotted path of each of its dicts -> what became of its keys.
        prediction_error: What the model raised when it was to predict an image, or None.
    """

    config: Config
    parts: Parts
    by_path: Mapping[str, Reads]
    prediction_error: Exception | None
