"""The eight small sets that have to be told apart: one of streets that is right, and seven that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.catalog.encodings import CITYSCAPES_LABEL_IDS, IGNORED
from provecfg.data.scenes import Drawing, draw_street

DRAWING = Drawing(width=96, height=54)
COUNTS = {"train": 6, "val": 3}
PALETTE = np.array([*DATASETS["cityscapes"].palette, *[(0, 0, 0)] * 237], np.uint8)  # (256, 3)

_LABEL_IDS = np.full(256, 0, np.uint8)
_TWICE = np.full(256, IGNORED, np.uint8)
for _value, _label in CITYSCAPES_LABEL_IDS.items():
    if _label != IGNORED:
        _LABEL_IDS[_label] = _value
    if int(_value) <= 18:
        _TWICE[int(_value)] = _label
_GREY = np.array([label if red == blue else IGNORED for label, (red, _, blue) in enumerate(PALETTE.tolist())], np.uint8)
_GREY[19:] = IGNORED
_OF_VAL = np.array([label if label in (0, 1, 2, 8, 10, 13) else IGNORED for label in range(256)], np.uint8)

ENCODED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clean": lambda labels: labels,
    "label ids": lambda labels: _LABEL_IDS[labels],
    "mapped twice": lambda labels: _TWICE[labels],
    "repeated": lambda labels: np.repeat(labels[:, :, None], 3, axis=2),
    "colours": lambda labels: PALETTE[labels],
    "colours in the other order": lambda labels: PALETTE[labels][:, :, ::-1],
    "three classes left": lambda labels: _GREY[labels],
}
"""Name of a set to what its label maps are of right ones."""

SETS = (*ENCODED, "val is train", "val lacks classes")


def write_set(root: Path, name: str, layout: str = "{kind}/{split}") -> Path:
    """Write a set.

    Args:
        root: An absent folder.
        name: Of `SETS`.
        layout: Folders of images and labels; `{kind}` is "images" or "labels".
    """
    encode = ENCODED.get(name, ENCODED["clean"])
    for split, count in COUNTS.items():
        for index in range(count):
            offset = 0 if split == "train" or name == "val is train" else 1
            image, labels = draw_street(DRAWING, (0, offset, index))
            labels[:4, :6] = 17  # a motorcycle, which the street lacks
            if name == "val lacks classes" and split == "val":
                labels = _OF_VAL[labels]
            for kind, pixels, ending in (("images", image, "jpg"), ("labels", encode(labels), "png")):
                save(root / layout.format(kind=kind, split=split) / f"street-{offset}-{index}.{ending}", pixels)
    return root


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    """Write a picture, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
