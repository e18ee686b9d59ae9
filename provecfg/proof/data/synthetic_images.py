"""Synthetic images and label maps for a config's datasets, so that its real pipelines can be run where no data is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from mmengine.config import Config
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, TRANSFORMS

from provecfg.catalog.encodings import IGNORED
from provecfg.data.layouts import Layout, paired_layout
from provecfg.errors import ProvecfgError
from provecfg.patterns import Pattern
from provecfg.proof.classes import class_of
from provecfg.proof.data.picture_files import BACKENDS, PixelFormat, declared_bits, why_unwritable, write_picture
from provecfg.training.adapt import CHOICES, datasets_of

SIZES = ((160, 90), (160, 90), (120, 120))
"""(width, height) in pixels of the images of a dataset: two of one size, and one of another shape."""


@dataclass(frozen=True, slots=True)
class SyntheticDataset:
    """A loader's dataset that reads synthetic images.

    Args:
        dataset: The config's dict of it, changed to read them.
        reason: Why none could be made, or None.
    """

    dataset: Any
    reason: str | None = None


def synthetic_dataset(
    config: Config, loader: str, folder: Path, classes: int, ignored: int, channels: int
) -> SyntheticDataset:
    """Images for the dataset of a loader, wrappers and all, in the layout of each dataset inside.

    Args:
        config: The config.
        loader: `train_dataloader` or `val_dataloader`.
        folder: An empty or absent folder to write to.
        classes: Labels that are drawn where the dataset itself names no classes.
        ignored: The label of no class; it is drawn, too.
        channels: Of the images, where the pipeline takes them as they are in the file.
    """
    config, bits = copy.deepcopy(config), declared_bits(config)
    for number, (key, inner) in enumerate(datasets_of(config)):
        if key.startswith(loader):
            reason = _synthesize(inner, folder / str(number), classes, ignored, channels, bits)
            if reason is not None:
                return SyntheticDataset(config[loader].dataset, reason)
    return SyntheticDataset(config[loader].dataset)


def _synthesize(dataset: Any, folder: Path, classes: int, ignored: int, channels: int, bits: int) -> str | None:
    paired = paired_layout(dataset)
    if paired is not None:
        return _synthesize_paired(dataset, folder, paired, channels, bits)
    cls, kind = class_of(dataset, DATASETS), dataset.get("type")
    if cls is None or not issubclass(cls, BaseSegDataset):
        return f"{getattr(kind, '__name__', kind)} is no dataset of images and label maps"
    if cls.load_data_list is not BaseSegDataset.load_data_list:
        return f"{cls.__name__} finds its files in a way of its own"
    for step in _steps(dataset.get("pipeline")):
        for name in BACKENDS:
            step.pop(name, None)  # the images are on this disk
    loader: Any = next(iter(_steps(dataset.get("pipeline"))), {})
    if not _loads_pictures(loader):
        return f"{loader.get('type')} reads images of its own kind"
    pixels = PixelFormat.read_by(loader.get("color_type"), loader.get("imdecode_backend"), channels, bits)
    for name in (*BACKENDS, "indices"):
        dataset.pop(name, None)
    prefixes = dict(dataset.get("data_prefix") or {})
    dataset.data_root = str(folder)
    if prefixes:
        dataset.data_prefix = {name: _below(path) for name, path in prefixes.items()}
    try:
        layout = _FileLayout(copy.deepcopy(dataset), cls)
    except Exception:  # the real build says why
        return None
    reason = why_unwritable(layout.image_suffix, layout.label_suffix, pixels)
    if reason is not None:
        return reason
    stems = [f"made-{index}" for index in range(len(SIZES))]
    for index, (stem, size) in enumerate(zip(stems, SIZES, strict=True)):
        for path, image in (
            (layout.images / f"{stem}{layout.image_suffix}", picture(size, index, pixels)),
            (layout.labels / f"{stem}{layout.label_suffix}", _label_map(size, layout.labels_of(classes), ignored)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, image)
    if dataset.get("ann_file"):
        dataset.ann_file = _below(dataset.ann_file)
        listing = folder / dataset.ann_file
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    return None


def _synthesize_paired(dataset: Any, folder: Path, layout: Layout, channels: int, bits: int) -> str | None:
    for name in CHOICES:
        dataset.pop(name, None)
    if dataset.get("images") is None:
        dataset.update(images="images/*.png", labels="labels/*.png")
    loader: Any = next(iter(_steps(dataset.get("pipeline"))), {})
    pixels = PixelFormat.read_by(loader.get("color_type"), loader.get("imdecode_backend"), channels, bits)
    try:
        for index, size in enumerate(SIZES):
            layout.write(folder, index, picture(size, index), _label_map(size, range(len(layout.classes)), IGNORED))
            if pixels != PixelFormat():
                path = folder / Pattern(str(dataset.images)).made(index)
                if (reason := why_unwritable(path.suffix, path.suffix, pixels)) is not None:
                    return reason
                write_picture(path, picture(size, index, pixels))
    except ProvecfgError as error:
        return error.message
    dataset.data_root = str(folder)
    return None


class _FileLayout:
    """How a dataset lays out its files, asked of the class itself."""

    def __init__(self, dataset: Any, cls: type[BaseSegDataset]) -> None:
        # Folders that a class wants to be there before it is built.
        for path in (dataset.get("data_prefix") or {}).values():
            Path(dataset.data_root, path).mkdir(parents=True, exist_ok=True)
        if dataset.get("ann_file"):
            listing = Path(dataset.data_root, _below(dataset.ann_file))
            listing.parent.mkdir(parents=True, exist_ok=True)
            listing.write_text("", encoding="utf-8")
            dataset.ann_file = _below(dataset.ann_file)
        dataset.update(pipeline=[], lazy_init=True)
        built = DATASETS.build(dataset)
        root = Path(dataset.data_root)
        self.images = Path(built.data_prefix.get("img_path") or root)
        self.labels = Path(built.data_prefix.get("seg_map_path") or root)
        self.image_suffix, self.label_suffix = str(built.img_suffix), str(built.seg_map_suffix)
        names = cls.METAINFO.get("classes") if built.label_map else built.metainfo.get("classes")
        self._classes = len(names) if names else None
        self._first = int(bool(built.reduce_zero_label))

    def labels_of(self, classes: int) -> range:
        """Every label that a file of this dataset may hold, of the `classes` of the model where it names none."""
        return range(self._first + (self._classes or classes))


def _steps(pipeline: Any) -> Iterator[Any]:
    for step in pipeline or ():
        if isinstance(step, dict):
            yield step


def _loads_pictures(step: Any) -> bool:
    cls = class_of(step, TRANSFORMS)
    return cls is not None and any(
        base.__name__ == "LoadImageFromFile" and base.__module__.startswith("mmcv.") for base in cls.__mro__
    )


def _below(path: Any) -> str:
    """A path as one below a folder, whatever it was below before."""
    return "/".join(part for part in PurePosixPath(str(path)).parts if part not in ("/", ".."))


def picture(size: tuple[int, int], seed: int, pixels: PixelFormat | None = None) -> np.ndarray:
    """A picture that fills the range of brightness: (H, W, channels), (H, W) for one channel; uint8, or uint16."""
    width, height = size
    pixels = pixels or PixelFormat()
    random = np.random.default_rng(seed)
    waves = (
        np.linspace(0, 6, width)[None, :, None] + np.linspace(0, 4, height)[:, None, None] + np.arange(pixels.channels)
    )
    values = 127.5 + 100 * np.sin(waves) + random.normal(0, 15, (height, width, pixels.channels))
    image = (np.clip(values, 0, 255) * (pixels.largest // 255)).astype(np.uint16 if pixels.bits == 16 else np.uint8)
    return image[..., 0] if pixels.channels == 1 else image


def _label_map(size: tuple[int, int], labels: range, ignored: int) -> np.ndarray:
    """A block for each label, and one that is ignored, in rows from the left: (H, W) uint8."""
    width, height = size
    values = [*labels, *([ignored] if 0 <= ignored <= 255 and ignored not in labels else [])]
    columns = int(np.ceil(np.sqrt(len(values))))
    rows = int(np.ceil(len(values) / columns))
    y = np.arange(height) * rows // height
    x = np.arange(width) * columns // width
    block = y[:, None] * columns + x[None, :]
    return np.array(values, dtype=np.uint8)[np.minimum(block, len(values) - 1)]
