"""The layout of a dataset: the names of its files, and how its label maps hold classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from provecfg.catalog.datasets import PAIRED, Dataset, Split
from provecfg.data.encodings import LabelDecoder
from provecfg.errors import ProvecfgError
from provecfg.pairs import Selection
from provecfg.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of a split are, and what its label maps hold.

    Args:
        selection: Which pairs it has.
        classes: Their names.
        encoding, channel_order, mapping: As of `data.encodings.LabelDecoder`.
    """

    selection: Selection
    classes: tuple[str, ...]
    encoding: str = "ids"
    channel_order: str = "rgb"
    mapping: Mapping[int | str, int] | None = None

    def decoder(self) -> LabelDecoder:
        """What reads its label maps."""
        return LabelDecoder(self.encoding, len(self.classes), self.mapping, self.channel_order)

    def write(self, root: Path, number: int, image: np.ndarray, labels: np.ndarray) -> str:
        """Write a pair in this layout.

        Args:
            root: The data root.
            number: Of the pair; it is part of the files' names.
            image: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 of classes and 255.

        Returns:
            What a list of files calls it: as mmseg's do, its path below the folder, without what all names end in.

        Raises:
            ProvecfgError: Pictures are not written by the ending of its names.
        """
        images = Pattern(self.selection.images or "images/*.png")
        path = images.made(number)
        match = images.match(path)
        assert match is not None
        label_path = Pattern(self.selection.labels or "labels/*.png").fill(match)
        for name, picture in ((path, Image.fromarray(image)), (label_path, self.decoder().encode(labels))):
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                picture.save(file, quality=95)
            except (ValueError, OSError) as error:  # an ending that PIL does not know, or that takes no such pixels
                raise ProvecfgError(f"no picture can be written as {name!r}: {error}") from error
        return "".join(match.wildcards) or path


def layout_of(dataset: Dataset, split: Split) -> Layout:
    """The layout of a split of a dataset that is not joined of others."""
    return Layout(dataset.selection(split), dataset.classes, dataset.encoding, dataset.channel_order, dataset.meaning)


def paired_layout(dataset: Mapping[str, Any]) -> Layout | None:
    """The layout of a config's dataset where it is of the plugin's class, else None."""
    if str(dataset.get("type", "")).rpartition(".")[2] != PAIRED:
        return None
    share = dataset.get("share")
    selection = Selection(
        dataset.get("images"),
        dataset.get("labels"),
        dataset.get("files"),
        dataset.get("only"),
        (share[0], share[1]) if share is not None else None,
        dataset.get("share_seed", 0),
        dataset.get("group"),
        dataset.get("manifest"),
        tuple(dataset.get("generated_of") or ()),
    )
    mapping = dataset.get("mapping")
    return Layout(
        selection,
        tuple((dataset.get("metainfo") or {}).get("classes") or ()),
        dataset.get("encoding", "ids"),
        dataset.get("channel_order", "rgb"),
        None if mapping is None else dict(mapping),
    )
