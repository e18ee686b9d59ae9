"""Whether labels move as their image does: an image that shows its own label map goes through the pipeline."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from provecfg.data.encodings import LabelDecoder
from provecfg.findings import Finding
from provecfg.proof.data.problems import SIZES_APART
from provecfg.proof.data.sample_reader import leaves, own_randomness

_SIDE, _BLOCK = 128, 16
"""Pixels of a side of the image, and of its fields."""
_TRIES = 4
"""A transform that acts at random is met by one of them, at a chance of a half with 94 %."""
_APART = 0.1
"""Share of the dark pixels that may show light, and of the light ones that may show dark: the fields' edges."""
_LIGHT = 220


@dataclass(frozen=True, slots=True)
class _Fit:
    """How an image agrees with its labels.

    Args:
        dark_shown_light, light_shown_dark: Shares in [0, 1]. What covers a part of the image makes one of them large;
            an image that has moved without its labels, both.
    """

    dark_shown_light: float
    light_shown_dark: float

    @property
    def is_apart(self) -> bool:
        """Whether the image shows other fields than its labels."""
        return min(self.dark_shown_light, self.light_shown_dark) > _APART


def check_moves(dataset: Any, key: str, folder: Path) -> Iterator[Finding]:
    """The first transform of a pipeline that moves an image and not its labels, or these otherwise.

    Args:
        dataset: Built, on images that can be read; in wrappers or not.
        key: Its dotted path in the config.
        folder: Where the image may be written.
    """
    leaf, leaf_key = next(leaves(dataset, key), (None, key))
    steps = list(getattr(getattr(leaf, "pipeline", None), "transforms", ()))
    if leaf is None or not steps or len(leaf) == 0:
        return
    info = leaf.get_data_info(0)
    if not {"img_path", "seg_map_path"} <= info.keys():
        return
    for seed in range(_TRIES):
        try:
            data = _with_fields(info, folder, seed)
        except (OSError, ValueError):
            return  # images of a kind that is not written here
        with own_randomness(seed) as has_drawn:
            index = _first_apart(steps, data)
            acts_at_random = has_drawn()
        if index is not None:
            name = type(steps[index]).__name__
            yield Finding(
                SIZES_APART,
                f"{name} moves the image and leaves its label map where it was, or moves it otherwise",
                f"{leaf_key}.pipeline[{index}]",
                hint="name the label map (gt_seg_map) among what it changes",
            )
        if index is not None or not acts_at_random:
            return


def _first_apart(steps: list[Any], data: Any) -> int | None:
    """The place of the transform after which image and labels disagree that agreed before."""
    values: np.ndarray | None = None
    agreed = False
    for index, step in enumerate(steps):
        if hasattr(step, "get_indices"):
            return None  # it mixes several images
        try:
            data = step(data)
        except Exception:  # the pipeline's run on made images says so
            return None
        if not isinstance(data, dict):
            return None
        values = _two_labels(data) if values is None else values
        fit = _fit_of(data, values) if values is not None else None
        if fit is None:
            continue
        if agreed and fit.is_apart:
            return index
        agreed = not fit.is_apart
    return None


def _two_labels(data: dict[str, Any]) -> np.ndarray | None:
    """The labels of the two kinds of fields, once they are loaded; None before, and where they are made one."""
    labels = data.get("gt_seg_map")
    if not isinstance(labels, np.ndarray):
        return None
    values: np.ndarray = np.unique(labels)
    return values if len(values) == 2 else None


def _fit_of(data: dict[str, Any], values: np.ndarray) -> _Fit | None:
    image, labels = data.get("img"), data.get("gt_seg_map")
    if not isinstance(image, np.ndarray) or not isinstance(labels, np.ndarray) or image.shape[:2] != labels.shape:
        return None
    if min(labels.shape) < _SIDE // 2:
        return None  # fields of a few pixels are all edges
    step = max(1, min(labels.shape) // _SIDE)
    image, labels = image[::step, ::step], labels[::step, ::step]  # a large image has as many fields
    shown = image.astype(np.float32).reshape(*labels.shape, -1).mean(axis=-1)
    groups = [shown[labels == value] for value in values]
    if min(len(group) for group in groups) < _BLOCK * _BLOCK:
        return None
    dark, light = sorted(groups, key=lambda group: float(np.median(group)))
    middle = (float(np.median(dark)) + float(np.median(light))) / 2
    return _Fit(float((dark > middle).mean()), float((light <= middle).mean()))


def _with_fields(info: dict[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """What the dataset hands to its pipeline, of an image whose fields are dark or light by their labels."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = np.random.default_rng(seed).integers(0, 2, (_SIDE // _BLOCK, _SIDE // _BLOCK))
    fields = np.kron(fields, np.ones((_BLOCK, _BLOCK), np.int64))
    paths = {name: folder / f"fields-{seed}{Path(info[name]).suffix}" for name in ("img_path", "seg_map_path")}
    with Image.open(info["img_path"]) as made:
        mode = made.mode
    Image.fromarray((fields * _LIGHT).astype(np.uint8)).convert(mode).save(paths["img_path"])
    folder_of_labels = folder / "labels"
    folder_of_labels.mkdir(exist_ok=True)
    label_path = folder_of_labels / paths["seg_map_path"].name
    _labels_of(fields, info).save(label_path)
    return {**copy.deepcopy(info), "img_path": str(paths["img_path"]), "seg_map_path": str(label_path)}


def _labels_of(fields: np.ndarray, info: dict[str, Any]) -> Image.Image:
    """A label map of two labels, as the dataset's files hold them."""
    decoder = info.get("label_decoding")
    if isinstance(decoder, LabelDecoder):
        encoded: Image.Image = decoder.encode(fields)
        return encoded
    with Image.open(info["seg_map_path"]) as made:
        present = np.unique(np.asarray(made))
    first, second = present[len(present) // 3], present[2 * len(present) // 3]
    return Image.fromarray(np.where(fields == 1, second, first).astype(np.uint8))
