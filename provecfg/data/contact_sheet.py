"""A contact sheet: training crops with their labels laid over, and the classes' colours, as one picture."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from provecfg.catalog.datasets import Dataset
from provecfg.catalog.encodings import IGNORED
from provecfg.data.encodings import UNREADABLE, LabelError
from provecfg.data.fingerprint import Survey
from provecfg.errors import ProvecfgError
from provecfg.files import open_regular
from provecfg.pairs import Pair
from provecfg.paths import write_bytes_atomically

_CROP = 320  # pixels of a crop, square
_COLUMNS = 4
_ROWS = 3
_LEGEND = 18  # height of a line of it
_OPACITY = 0.5


def write_contact_sheet(path: Path, survey: Survey) -> int:
    """Write a picture of training crops, each as it is and with its labels laid over; ignored pixels are black.

    Args:
        path: Where to, ending in .jpg.
        survey: Of the dataset.

    Returns:
        How many crops are on it.

    Raises:
        ProvecfgError: No pair can be decoded, or the picture cannot be written.
    """
    dataset, split = survey.dataset, survey.splits.get("train")
    pairs = list(split.pairs) if split is not None else []
    colours = _colours(dataset)
    decoder = survey.decoder
    tiles: list[Image.Image] = []
    for pair in _spread(pairs, 2 * _COLUMNS * _ROWS):  # some may be unreadable
        try:
            tiles.append(_tile(survey.root, pair, decoder.read(survey.root / pair.label), colours))
        except (LabelError, *UNREADABLE):
            continue
        if len(tiles) == _COLUMNS * _ROWS:
            break
    if not tiles:
        raise ProvecfgError("no training image can be shown with its labels")
    lines = -(-(len(dataset.classes) + 1) // _COLUMNS)
    rows = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _CROP * 2, rows * _CROP + lines * _LEGEND + 8), (255, 255, 255))
    for index, tile in enumerate(tiles):
        sheet.paste(tile, (index % _COLUMNS * _CROP * 2, index // _COLUMNS * _CROP))
    _legend(sheet, dataset, colours, rows * _CROP + 4)
    data = io.BytesIO()
    sheet.save(data, format="jpeg", quality=88)
    try:
        write_bytes_atomically(path, data.getvalue())
    except OSError as error:
        raise ProvecfgError(f"cannot write {path}: {error.strerror or error}") from error
    return len(tiles)


def _spread(pairs: Sequence[Pair], most: int) -> Sequence[Pair]:
    step = max(1, len(pairs) // most)
    chosen = pairs[::step]
    # every second first, so that a sheet that is full early still covers the whole split
    return [*chosen[::2], *chosen[1::2]]


def _tile(root: Path, pair: Pair, labels: np.ndarray, colours: np.ndarray) -> Image.Image:
    """A crop beside itself under its labels, (width, height) (2 * _CROP, _CROP)."""
    with open_regular(root / pair.image) as stream, Image.open(stream) as opened:
        image = opened.convert("RGB")
    height, width = labels.shape
    if image.size != (width, height):
        raise ValueError("sizes differ")
    # the middle, of the largest square, so that small images are whole
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = image.crop((left, top, left + side, top + side)).resize((_CROP, _CROP))
    shown = colours[labels[top : top + side, left : left + side]]
    laid = Image.fromarray(shown.astype(np.uint8)).resize((_CROP, _CROP), Image.Resampling.NEAREST)
    tile = Image.new("RGB", (2 * _CROP, _CROP))
    tile.paste(crop, (0, 0))
    tile.paste(Image.blend(crop, laid, _OPACITY), (_CROP, 0))
    return tile


def _colours(dataset: Dataset) -> np.ndarray:
    """A colour for every label, (256, 3) uint8; black for 255."""
    table = np.zeros((256, 3), np.uint8)
    for label in range(len(dataset.classes)):
        if dataset.palette is not None:
            table[label] = dataset.palette[label]
        else:
            rgb = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.85, 0.95)
            table[label] = [round(channel * 255) for channel in rgb]
    table[IGNORED] = 0
    return table


def _legend(sheet: Image.Image, dataset: Dataset, colours: np.ndarray, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    width = sheet.size[0] // _COLUMNS
    entries = [*enumerate(dataset.classes), (IGNORED, "ignored")]
    for index, (label, name) in enumerate(entries):
        x, y = index % _COLUMNS * width + 6, top + index // _COLUMNS * _LEGEND
        draw.rectangle((x, y, x + 24, y + 12), fill=tuple(int(part) for part in colours[label]))
        draw.text((x + 30, y), f"{label} {name}", fill=(0, 0, 0))
