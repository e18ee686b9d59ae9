"""Pictures of the images on which two losses differ: input, truth, both predictions, and where one of them is right."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.errors import ProvecfgError
from provecfg.files import open_regular
from provecfg.mmconfig import ConfigView, read_config
from provecfg.results.report.image_differences import ImageDifference
from provecfg.results.runs import Run
from provecfg.results.study import Cell

_SIDE: Final = 176
"""Pixels of the longer side of a picture."""
_PART: Final = 2
"""The crop's sides are such a part of the image's."""
_MOST_PIXELS: Final = 2**26
_HUE: Final = 0.6180339887
"""Of the golden ratio: hues that follow one another are far apart, however many there are."""

LabelMap = NDArray[np.int64]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """The pictures of an image, each of the same crop, as data URIs.

    Args:
        place: Of the two cells, in words.
        shown: Title -> URI.
    """

    place: str
    shown: Mapping[str, str]


def pictures_of(difference: ImageDifference, predictions: Path) -> Pictures | str:
    """The pictures of the first pair of cells of which both predictions are there, or why there are none.

    Args:
        difference: The image.
        predictions: A folder with one of each run's name, which holds label maps as mmseg's metric writes them.
    """
    name = f"{PurePosixPath(difference.image).stem}.png"
    for cell, other in difference.pairs:
        files = [predictions / run.name / name for run in (other, cell)]
        if all(file.is_file() for file in files):
            try:
                return _pictures(difference, cell, other, files)
            except (OSError, ValueError, ProvecfgError, Image.DecompressionBombError) as error:
                return str(error)
    return f"no folder of {predictions} has {name} of both losses"


def _pictures(difference: ImageDifference, cell: Cell, other: Cell, files: list[Path]) -> Pictures:
    if cell.run is None:
        raise ValueError(f"{cell.name} has no run")
    image, labels = _input(cell.run, difference.image)
    ignored = next(iter(cell.run.counts.values())).about["ignore_index"]
    base, own = (_label_map(file) for file in files)
    if not image.shape[:2] == labels.shape == base.shape == own.shape:
        raise ValueError(f"{difference.image}: image, labels and predictions are not of one size")
    own_right, base_right = own == labels, base == labels
    labelled = labels != ignored
    crop = _crop((own_right != base_right) & labelled)
    verdict = np.full((*labels.shape, 3), 235, np.uint8)
    verdict[own_right & ~base_right & labelled] = (0, 114, 178)
    verdict[base_right & ~own_right & labelled] = (213, 94, 0)
    verdict[~own_right & ~base_right & labelled] = (120, 120, 120)
    base_name, own_name = other.coordinates["loss"], cell.coordinates["loss"]
    shown = {
        "input": _uri(image[crop], "JPEG"),
        "truth": _uri(_coloured(labels[crop]), "PNG"),
        base_name: _uri(_coloured(base[crop]), "PNG"),
        own_name: _uri(_coloured(own[crop]), "PNG"),
        f"right: {own_name} alone blue, {base_name} alone orange, neither grey": _uri(verdict[crop], "PNG"),
    }
    return Pictures(", ".join(cell.coordinates[axis] for axis in ("model", "seed")), shown)


def _input(run: Run, name: str) -> tuple[Rgb, LabelMap]:
    """Image and labels, found by the config as it was run.

    Raises:
        ValueError: They are not there.
    """
    if run.config is None:
        raise ValueError(f"{run.path} has no config that says where its data are")
    view = read_config(run.config)
    root, images, labels = (
        _text(view, f"val_dataloader.dataset.{key}")
        for key in ("data_root", "data_prefix.img_path", "data_prefix.seg_map_path")
    )
    kind = _text(view, "val_dataloader.dataset.type")
    entry = next((entry for entry in DATASETS.values() if entry.type == kind), None)
    image_suffix = _text(view, "val_dataloader.dataset.img_suffix") or (entry.image_suffix if entry else ".jpg")
    label_suffix = _text(view, "val_dataloader.dataset.seg_map_suffix") or (entry.label_suffix if entry else ".png")
    image = _below(Path(root) / images, name)
    label = _below(Path(root) / labels, name.removesuffix(image_suffix) + label_suffix)
    with open_regular(image) as stream, Image.open(stream) as opened:
        _check_size(opened, image)
        pixels = np.asarray(opened.convert("RGB"))
    return pixels, _label_map(label)


def _text(view: ConfigView, key: str) -> str:
    node = view.dig(key)
    return node.value if node is not None and isinstance(node.value, str) else ""


def _below(folder: Path, name: str) -> Path:
    """A file by its name from some folder below; names are kept from the folder that all images have in common."""
    file = folder / name
    if file.is_file():
        return file
    file_below = next(folder.rglob(escape(name)), None) if folder.is_dir() else None
    if file_below is None:
        raise ValueError(f"{file} is not there")
    return file_below


def _label_map(file: Path) -> LabelMap:
    with open_regular(file) as stream, Image.open(stream) as opened:
        _check_size(opened, file)
        labels = np.asarray(opened)
    if labels.ndim != 2:
        raise ValueError(f"{file} is no label map: it has colours")
    return labels.astype(np.int64)


def _check_size(image: Image.Image, file: Path) -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise ValueError(f"{file} has {image.width} x {image.height} pixels, which are too many for a picture")


def _crop(differs: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The window, half as high and wide as the image, in which the most pixels differ."""
    height, width = (max(1, side // _PART) for side in differs.shape)
    sums = np.zeros((differs.shape[0] + 1, differs.shape[1] + 1), np.int64)
    sums[1:, 1:] = differs.cumsum(axis=0).cumsum(axis=1)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(row), int(row) + height), slice(int(column), int(column) + width)


def _coloured(labels: LabelMap) -> Rgb:
    import colorsys

    colours = np.zeros((256, 3), np.uint8)
    for label in range(255):
        rgb = colorsys.hsv_to_rgb(label * _HUE % 1, 0.45 + 0.2 * (label % 3), 0.95 - 0.2 * (label % 2))
        colours[label] = [round(255 * part) for part in rgb]
    return np.asarray(colours[np.clip(labels, 0, 255)])


def _uri(pixels: Any, kind: str) -> str:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scale = _SIDE / max(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR if kind == "JPEG" else Image.Resampling.NEAREST)
    stream = io.BytesIO()
    picture.save(stream, kind, quality=80)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
