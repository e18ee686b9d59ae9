"""A small dataset that provecfg draws itself, in the layout and with the labels of a real one."""

from __future__ import annotations

import colorsys
import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from provecfg.catalog.datasets import CITYSCAPES_CLASSES, Dataset
from provecfg.catalog.encodings import IGNORED
from provecfg.data.layouts import Layout, layout_of
from provecfg.digest import digest_of
from provecfg.errors import ProvecfgError
from provecfg.paths import cache_dir

MARKER = "provecfg-smoke.json"
"""File in the root of a drawn dataset; says how it was drawn."""

_FORMAT = 2  # raised whenever the drawing changes, so that an old set is not taken for a new one
_ID = {name: index for index, name in enumerate(CITYSCAPES_CLASSES)}


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a dataset is drawn; equal drawings are equal to the last label.

    Args:
        train, val: Images in each split.
        width, height: Size of the images, in pixels.
        seed: Of everything that varies.
    """

    train: int = 16
    val: int = 4
    width: int = 256
    height: int = 144
    seed: int = 0


def smoke_data_for(dataset: Dataset, drawing: Drawing = Drawing(), root: Path | None = None) -> Path:
    """A drawn dataset in the layout of `dataset`; drawn now unless it is there already.

    Args:
        dataset: Its folders, suffixes, classes and label values; none that is joined of others.
        drawing: How many images, their size, and the seed.
        root: Where to; in `cache_dir` unless given.

    Returns:
        The data root. It is whole at any moment: drawn beside, then renamed.

    Raises:
        ProvecfgError: There is something else at `root`, or it cannot be written.
    """
    name = f"{dataset.name}-{drawing.train}+{drawing.val}-{drawing.width}x{drawing.height}-s{drawing.seed}-v{_FORMAT}"
    counts = {"train": drawing.train, "val": drawing.val, "test": drawing.val}
    parts = [
        (layout_of(dataset, split), counts[name], (drawing.seed, offset))
        for offset, (name, split) in enumerate(dataset.splits.items())
    ]
    return _drawn(parts, drawing, root or cache_dir() / "smoke" / name, {"dataset": dataset.name})


def smoke_split_for(layout: Layout, count: int, drawing: Drawing = Drawing()) -> Path:
    """The drawn images of one split in the cache, drawn now unless they are there already: see `smoke_data_for`."""
    digest = digest_of([dataclasses.asdict(layout), count, dataclasses.asdict(drawing), _FORMAT])
    return _drawn([(layout, count, (drawing.seed, 0))], drawing, cache_dir() / "smoke" / digest, {"layout": digest})


def _drawn(
    parts: Sequence[tuple[Layout, int, tuple[int, ...]]], drawing: Drawing, root: Path, about: dict[str, str]
) -> Path:
    if (root / MARKER).is_file():
        return root
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ProvecfgError(f"{root} is there and is no drawn dataset", hint="name a folder that is empty or absent")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}."))
    except OSError as error:
        raise ProvecfgError(
            f"the smoke data cannot be written: {error}", hint="set PROVECFG_HOME to a folder that can be"
        ) from error
    try:
        number = 0
        for layout, count, seed in parts:
            names = []
            for index in range(count):
                image, labels = draw_scene(layout.classes, drawing, (*seed, index))
                names.append(layout.write(beside, number, image, labels))
                number += 1  # splits may lie in one folder, and differ by their lists
            if layout.selection.files is not None:
                listing = beside / layout.selection.files
                listing.parent.mkdir(parents=True, exist_ok=True)
                listing.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        described = {**about, "format": _FORMAT, "seed": drawing.seed}
        (beside / MARKER).write_text(json.dumps(described) + "\n", encoding="utf-8")
        beside.chmod(0o755)
        try:
            os.replace(beside, root)
        except OSError:
            if not (root / MARKER).is_file():  # another process was first, and drew the same
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return root


def draw_scene(classes: tuple[str, ...], drawing: Drawing, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """An image and its label map: a street where the classes are Cityscapes', shapes of their colours else.

    Args:
        classes: Their names.
        drawing: The size.
        seed: Of everything that varies; its last number counts the images, and the classes come in turn.

    Returns:
        The image, (H, W, 3) uint8 RGB, and the label map, (H, W) uint8 of class numbers and 255.
    """
    if classes == CITYSCAPES_CLASSES:
        return draw_street(drawing, seed)
    return _draw_shapes(len(classes), drawing, seed)


_SHAPES = 12  # classes that an image shows beside the first


def _draw_shapes(classes: int, drawing: Drawing, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    width, height = drawing.width, drawing.height
    image = Image.new("RGB", (width, height), _colour_of(0))
    labels = Image.new("L", (width, height), 0)
    paint, mark = ImageDraw.Draw(image), ImageDraw.Draw(labels)
    shown = min(_SHAPES, classes - 1)
    turn = [1 + (seed[-1] * shown + step) % (classes - 1) for step in range(shown)]
    for label in random.permutation(turn).tolist():
        x, y = random.uniform(0, width), random.uniform(0, height)
        half = random.uniform(0.08, 0.25) * np.array([width, height])
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        for canvas, fill in ((paint, _colour_of(label)), (mark, label)):
            (canvas.ellipse if label % 2 else canvas.rectangle)(box, fill=fill)
    corner = (-width * 0.1, -height * 0.1, width * 0.1, height * 0.1)
    paint.ellipse(corner, fill=(10, 10, 10))
    mark.ellipse(corner, fill=IGNORED)
    noise = random.normal(0, 6, (height, width, 3))
    pixels = np.clip(np.asarray(image, dtype=np.float32) + noise, 0, 255).astype(np.uint8)
    return pixels, np.array(labels)


def _colour_of(label: int) -> tuple[int, int, int]:
    """A colour that no other label near it has: hues a golden ratio apart."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.9 - 0.4 * (label % 3 == 2), 0.6 + 0.3 * (label % 2))
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_street(drawing: Drawing, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """One street and its label map.

    A class has its own colour, place and shape, so that a network tells them apart within few iterations.

    Args:
        drawing: The size.
        seed: Of everything that varies.

    Returns:
        The image, (H, W, 3) uint8 RGB, and the label map, (H, W) uint8 of Cityscapes train ids and 255.
    """
    street = _Street(drawing.width, drawing.height, np.random.default_rng(seed))
    street.ground_and_sky()
    street.buildings()
    street.trees()
    street.road()
    street.poles()
    street.people()
    street.cars()
    street.bonnet()
    return street.finished()


class _Street:
    """A canvas of colours and one of labels, drawn on together."""

    def __init__(self, width: int, height: int, random: np.random.Generator) -> None:
        self.width, self.height, self.random = width, height, random
        self.image = Image.new("RGB", (width, height))
        self.labels = Image.new("L", (width, height), 255)
        self._paint = ImageDraw.Draw(self.image)
        self._mark = ImageDraw.Draw(self.labels)
        self.horizon = height * self._between(0.38, 0.48)
        self.vanishing = width * self._between(0.4, 0.6)

    def ground_and_sky(self) -> None:
        self._box("sky", (0, 0, self.width, self.horizon), (135, 190, 235))
        self._box("sidewalk", (0, self.horizon, self.width, self.height), (205, 165, 175))

    def buildings(self) -> None:
        right = 0.0
        while right < self.width:
            left, right = right, right + self.width * self._between(0.08, 0.2)
            if self.random.random() < 0.25:
                continue  # a gap of sky
            top = self.horizon * self._between(0.1, 0.6)
            wall = self._tinted((150, 95, 65))
            self._box("building", (left, top, right, self.horizon + 3), wall)
            for x in np.arange(left + 3, right - 4, 8):
                for y in np.arange(top + 4, self.horizon - 5, 9):
                    self._paint.rectangle((x, y, x + 3, y + 4), fill=(235, 215, 130))

    def trees(self) -> None:
        for _ in range(int(self.random.integers(2, 5))):
            x, radius = self.width * self._between(0, 1), self.height * self._between(0.06, 0.13)
            y = self.horizon - radius * 0.6
            self._ellipse("vegetation", (x - radius, y - radius, x + radius, y + radius), self._tinted((45, 130, 50)))

    def road(self) -> None:
        top, bottom = self.width * 0.03, self.width * self._between(0.55, 0.75)
        corners = [
            (self.vanishing - top, self.horizon),
            (self.vanishing + top, self.horizon),
            (self.width / 2 + bottom, self.height),
            (self.width / 2 - bottom, self.height),
        ]
        self._paint.polygon(corners, fill=(85, 85, 92))
        self._mark.polygon(corners, fill=_ID["road"])
        for step in np.linspace(0.1, 0.9, 5):
            y = self.horizon + (self.height - self.horizon) * step
            x = self.vanishing + (self.width / 2 - self.vanishing) * step
            self._paint.line((x, y, x, y + 10 * step), fill=(225, 225, 225), width=max(1, int(4 * step)))

    def poles(self) -> None:
        for _ in range(int(self.random.integers(2, 4))):
            x = self.width * self.random.choice([self._between(0.02, 0.22), self._between(0.78, 0.98)])
            foot, top = self.height * self._between(0.62, 0.8), self.horizon * self._between(0.3, 0.6)
            self._box("pole", (x, top, x + max(2, self.width / 90), foot), (40, 40, 60))
            size = self.height * 0.06
            if self.random.random() < 0.5:
                self._ellipse("traffic sign", (x - size, top - size, x + size, top + size), (250, 215, 20))
            else:
                self._box("traffic light", (x - size / 2, top - size, x + size, top + size), (20, 230, 190))

    def people(self) -> None:
        for _ in range(int(self.random.integers(1, 4))):
            x = self.width * self.random.choice([self._between(0.05, 0.25), self._between(0.75, 0.95)])
            foot = self.height * self._between(0.7, 0.88)
            tall = (foot - self.horizon) * 1.1 + 8
            body = self._tinted((245, 120, 20))
            self._box("person", (x - tall / 8, foot - tall * 0.8, x + tall / 8, foot), body)
            self._ellipse("person", (x - tall / 9, foot - tall, x + tall / 9, foot - tall * 0.75), body)

    def cars(self) -> None:
        for depth in sorted(self._between(0.15, 0.75) for _ in range(int(self.random.integers(1, 4)))):
            y = self.horizon + (self.height - self.horizon) * depth
            half = self.width * (0.03 + 0.11 * depth)
            x = self.vanishing + (self.width / 2 - self.vanishing) * depth + self._between(-2.2, 2.2) * half
            paint = self._tinted((200, 20, 40) if self.random.random() < 0.5 else (30, 40, 200))
            self._box("car", (x - half, y - half * 0.8, x + half, y + half * 0.3), paint)
            self._paint.rectangle((x - half * 0.7, y - half * 0.7, x + half * 0.7, y - half * 0.3), fill=(15, 20, 30))

    def bonnet(self) -> None:
        """The car that the camera is in: not part of any class."""
        box = (self.width * 0.2, self.height * 0.94, self.width * 0.8, self.height * 1.2)
        self._paint.ellipse(box, fill=(10, 10, 10))
        self._mark.ellipse(box, fill=255)

    def finished(self) -> tuple[np.ndarray, np.ndarray]:
        noise = self.random.normal(0, 6, (self.height, self.width, 3))
        pixels = np.clip(np.asarray(self.image, dtype=np.float32) + noise, 0, 255).astype(np.uint8)
        return pixels, np.array(self.labels)

    def _box(self, name: str, box: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
        self._paint.rectangle(box, fill=colour)
        self._mark.rectangle(box, fill=_ID[name])

    def _ellipse(self, name: str, box: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
        self._paint.ellipse(box, fill=colour)
        self._mark.ellipse(box, fill=_ID[name])

    def _between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def _tinted(self, colour: tuple[int, int, int]) -> tuple[int, int, int]:
        red, green, blue = np.clip(np.array(colour) + self.random.integers(-18, 19, 3), 0, 255).tolist()
        return red, green, blue
