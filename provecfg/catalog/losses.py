"""The losses of provecfg's plugin: what each class says of itself, kept as data, so that torch is not imported for it.

`python -m docs.generate.plugin_snapshot` writes `losses.json` from the source of `plugin/losses`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

LOSSES_FILE: Final = Path(__file__).with_name("losses.json")


class PluginLoss(NamedTuple):
    """What a loss of the plugin says of itself.

    Args:
        title: What the equation at the head of a config calls it.
        loss_name: Its key in the logs unless the config sets one: `loss_` and what a study calls it.
        takes_pixel_weight: Whether a pixel sampler's weights mean something to it.
        has_pixel_map: Whether it is a sum over pixels, so that each has a value.
        wraps_loss: Whether it is made of another loss, its argument `loss`.
    """

    title: str
    loss_name: str
    takes_pixel_weight: bool
    has_pixel_map: bool
    wraps_loss: bool

    @property
    def study_name(self) -> str:
        """What a study calls it."""
        return self.loss_name.removeprefix("loss_")


PLUGIN_LOSSES: Final[Mapping[str, PluginLoss]] = MappingProxyType(
    {name: PluginLoss(**values) for name, values in json.loads(LOSSES_FILE.read_text(encoding="utf-8")).items()}
)
"""By the name that the class is registered under."""
