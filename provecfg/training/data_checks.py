"""The data of a run, looked at before training: folders, pairs, and a sample of the files themselves.

Whole folders are listed; decoding is done on a sample, evenly spread over the sorted names.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from provecfg.files import MAX_RECORD_BYTES, open_regular, read_text
from provecfg.findings import Finding
from provecfg.spelling import first_few as some
from provecfg.training.adapt import catalog_dataset, datasets_of
from provecfg.training.problems import (
    DATA_NOT_CHECKED,
    EMPTY_SPLIT,
    IMAGE_WITHOUT_LABEL,
    LABEL_OUTSIDE_CLASSES,
    LABEL_WITH_COLOURS,
    LABEL_WITHOUT_IMAGE,
    NO_DATA_FOLDER,
    NO_DATA_ROOT,
    NOTHING_LABELLED,
    SIZES_DIFFER,
    UNREADABLE_IMAGE,
)

SAMPLE = 12
"""Pairs of each split that are decoded."""

_DECODERS = 4  # threads; PIL decodes without holding the interpreter


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a dataset class expects of its files.

    Args:
        image_suffix, label_suffix: Ends of the file names.
        classes: How many values a label map may hold, from 0 (from 1 with `reduce_zero_label`).
        reduce_zero_label: Whether 0 is ignored and the others move down by one.
    """

    image_suffix: str
    label_suffix: str
    classes: int | None
    reduce_zero_label: bool


Image.preinit()  # else a thread would import the decoders


def check_data(config: Config, *, known: bool | None = None) -> list[Finding]:
    """What is wrong with the data that training and validation read.

    Args:
        config: The config.
        known: Look only at datasets whose class the catalog knows (True) or does not know (False). Of the latter mmseg
            is asked, which imports it.
    """
    findings: list[Finding] = []
    for key, dataset in datasets_of(config):
        is_known = catalog_dataset(dataset) is not None
        if not key.startswith("test_dataloader") and known in (None, is_known):
            findings += check_dataset(key, dataset, num_classes(config), ignored_label(config))
    return list(dict.fromkeys(findings))


def check_dataset(key: str, dataset: dict[str, Any], num_classes: int | None, ignored: int) -> list[Finding]:
    """What is wrong with the data of one dataset of a config.

    Args:
        key: Its dotted path in the config.
        dataset: Its part of the config.
        num_classes: Classes that the heads tell apart, or None if unknown.
        ignored: Label that no loss looks at.
    """
    conventions = _conventions(dataset, num_classes)
    if conventions is None or dataset.get("backend_args") or dataset.get("file_client_args"):
        kind = dataset.get("type")
        return [Finding(DATA_NOT_CHECKED, f"the data of {kind} is not checked before training", f"{key}.type")]
    root, prefix = dataset.get("data_root"), dataset.get("data_prefix") or {}
    if root and not os.path.isdir(root):
        return [
            Finding(
                NO_DATA_ROOT,
                f"data root {str(root)!r} does not exist (looked in {os.getcwd()})",
                f"{key}.data_root",
                hint="name the folder with --data-root DIR, or try the config without data: --smoke",
            )
        ]
    images, labels = (_folder(root, prefix.get(name)) for name in ("img_path", "seg_map_path"))
    findings = [
        Finding(
            NO_DATA_FOLDER,
            f"folder {str(folder)!r} does not exist",
            f"{key}.data_prefix.{name}",
            hint=_what_is_there(folder),
        )
        for name, folder in (("img_path", images), ("seg_map_path", labels))
        if folder is not None and not folder.is_dir()
    ]
    if images is None or findings:
        return findings
    try:
        stems = _image_stems(dataset, root, images, conventions)
    except OSError as error:
        return [Finding(NO_DATA_FOLDER, f"annotation file cannot be read: {error}", f"{key}.ann_file")]
    if not stems:
        return [
            Finding(
                EMPTY_SPLIT,
                f"no file in {str(images)!r} ends in {conventions.image_suffix!r}",
                f"{key}.data_prefix.img_path",
                hint=_suffixes_there(images),
            )
        ]
    if labels is None:
        return findings
    return findings + _check_pairs(key, images, labels, stems, dataset, conventions, ignored)


def _check_pairs(
    key: str,
    images: Path,
    labels: Path,
    stems: list[str],
    dataset: dict[str, Any],
    conventions: Conventions,
    ignored: int,
) -> list[Finding]:
    findings = []
    label_stems = set(_stems(labels, conventions.label_suffix))
    without_label = [stem for stem in stems if stem not in label_stems]
    if without_label:
        names = [f"{stem}{conventions.image_suffix}" for stem in without_label]
        hint = f"label maps are looked for in {str(labels)!r} as NAME{conventions.label_suffix}"
        if len(without_label) == len(stems):
            hint += f"; {_suffixes_there(labels)}"
        findings.append(
            Finding(
                IMAGE_WITHOUT_LABEL,
                f"{len(without_label)} of {len(stems)} images have no label map: {some(names)}",
                f"{key}.data_prefix.seg_map_path",
                hint=hint,
            )
        )
    without_image = sorted(label_stems.difference(stems))
    if without_image and not dataset.get("ann_file"):
        names = [f"{stem}{conventions.label_suffix}" for stem in without_image]
        findings.append(
            Finding(
                LABEL_WITHOUT_IMAGE,
                f"{len(without_image)} label maps have no image: {some(names)}",
                f"{key}.data_prefix.img_path",
            )
        )
    pairs = [
        (images / f"{stem}{conventions.image_suffix}", labels / f"{stem}{conventions.label_suffix}")
        for stem in evenly_spread([stem for stem in stems if stem in label_stems], SAMPLE)
    ]
    with ThreadPoolExecutor(_DECODERS) as pool:
        looked_at = list(pool.map(lambda pair: _look_at(*pair), pairs))
    return findings + list(_judge(key, looked_at, conventions, ignored))


@dataclass(frozen=True, slots=True)
class _Pair:
    image: Path
    label: Path
    unreadable: tuple[tuple[Path, str], ...] = ()
    image_size: tuple[int, int] | None = None
    label_size: tuple[int, int] | None = None
    channels: int = 1
    values: tuple[int, ...] = ()


def _look_at(image: Path, label: Path) -> _Pair:
    unreadable, image_size = [], None
    try:
        with open_regular(image) as stream, Image.open(stream) as opened:
            opened.load()
            image_size = opened.size
    except (OSError, ValueError, SyntaxError) as error:  # what PIL raises, by format
        unreadable.append((image, _first_line(error)))
    try:
        with open_regular(label) as stream, Image.open(stream) as opened:
            pixels = np.asarray(opened)
    except (OSError, ValueError, SyntaxError) as error:
        return _Pair(image, label, (*unreadable, (label, _first_line(error))), image_size)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    values: tuple[int, ...] = ()
    if channels == 1:
        if pixels.dtype == np.uint8:
            values = tuple(np.flatnonzero(np.bincount(pixels.ravel(), minlength=256)).tolist())
        else:
            values = tuple(int(value) for value in np.unique(pixels))
    return _Pair(image, label, tuple(unreadable), image_size, (pixels.shape[1], pixels.shape[0]), channels, values)


def _judge(key: str, pairs: Sequence[_Pair], conventions: Conventions, ignored: int) -> Iterator[Finding]:
    sampled = f"of {len(pairs)} sampled"
    for path, reason in (item for pair in pairs for item in pair.unreadable):
        yield Finding(UNREADABLE_IMAGE, f"{str(path)!r} cannot be decoded: {reason}", key)
    coloured = [pair for pair in pairs if pair.channels > 1]
    if coloured:
        yield Finding(
            LABEL_WITH_COLOURS,
            f"{len(coloured)} {sampled} label maps have several channels, {coloured[0].channels} in "
            f"{str(coloured[0].label)!r}",
            f"{key}.data_prefix.seg_map_path",
            hint="a label map has one channel, of class numbers; colour maps have to be converted",
        )
    for pair in pairs:
        if pair.image_size and pair.label_size and pair.image_size != pair.label_size:
            yield Finding(
                SIZES_DIFFER,
                f"{str(pair.image)!r} is {_size(pair.image_size)}, its label map {_size(pair.label_size)}",
                key,
            )
    readable = [pair for pair in pairs if pair.values]
    if conventions.classes is not None:
        last = conventions.classes - 1 + int(conventions.reduce_zero_label)
        yield from _labels_outside(key, readable, last, ignored)
    classes = {value for pair in readable for value in pair.values} - {ignored}
    if conventions.reduce_zero_label:
        classes -= {0}
    if readable and len(classes) < 2:
        held = f"only class {min(classes)}" if classes else "no class"
        yield Finding(
            NOTHING_LABELLED,
            f"the {len(readable)} label maps {sampled} hold {held} beside the ignored label {ignored}",
            f"{key}.data_prefix.seg_map_path",
        )


def _labels_outside(key: str, pairs: Sequence[_Pair], last: int, ignored: int) -> Iterator[Finding]:
    outside: dict[int, list[Path]] = {}
    for pair in pairs:
        for value in pair.values:
            if value != ignored and not 0 <= value <= last:
                outside.setdefault(value, []).append(pair.label)
    if outside:
        values = sorted(outside)
        value, files = values[-1], outside[values[-1]]
        yield Finding(
            LABEL_OUTSIDE_CLASSES,
            f"label {value} in {str(files[0])!r}: classes are 0 to {last}, {ignored} is ignored"
            + (f"; outside are also {some([str(other) for other in values[:-1]], 8)}" if values[1:] else ""),
            f"{key}.data_prefix.seg_map_path",
            hint=f"found in {len({file for files in outside.values() for file in files})} of {len(pairs)} sampled "
            "label maps; map the values to train ids, or mend num_classes",
        )


def evenly_spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the items, first and last among them, at equal distances."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def _conventions(dataset: dict[str, Any], num_classes: int | None) -> Conventions | None:
    known = catalog_dataset(dataset)
    if known is not None:
        suffixes, own_classes, reduce = (known.image_suffix, known.label_suffix), len(known.classes), False
    else:
        asked = _ask_mmseg(str(dataset.get("type")))
        if asked is None:
            return None
        suffixes, own_classes, reduce = asked
    reduce = bool(dataset.get("reduce_zero_label", reduce))
    if (dataset.get("metainfo") or {}).get("classes") and own_classes:
        num_classes = own_classes  # mmseg maps the class's own numbers to the subset
    return Conventions(
        dataset.get("img_suffix", suffixes[0]), dataset.get("seg_map_suffix", suffixes[1]), num_classes, reduce
    )


def _ask_mmseg(registered: str) -> tuple[tuple[str, str], int, bool] | None:
    from mmseg.datasets import BaseSegDataset
    from mmseg.registry import DATASETS

    entry = DATASETS.get(registered)
    if not (inspect.isclass(entry) and issubclass(entry, BaseSegDataset)):
        return None
    defaults: dict[str, Any] = {}
    dataset: Any = entry
    for cls in reversed(dataset.__mro__):
        if "__init__" in vars(cls):
            parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
            defaults |= {item.name: item.default for item in parameters if item.default is not item.empty}
    classes = len(dataset.METAINFO.get("classes", ()))
    suffixes = (defaults.get("img_suffix", ".jpg"), defaults.get("seg_map_suffix", ".png"))
    return suffixes, classes, bool(defaults.get("reduce_zero_label", False))


def num_classes(config: Config) -> int | None:
    """The fewest classes that a head of the model tells apart: a label beyond them breaks that head."""
    numbers = [head.get("num_classes") for head in _heads(config)]
    return min((number for number in numbers if isinstance(number, int)), default=None)


def ignored_label(config: Config) -> int:
    """The label that no head's loss looks at."""
    ignored = next((head["ignore_index"] for head in _heads(config) if "ignore_index" in head), 255)
    return ignored if isinstance(ignored, int) else 255


def _heads(config: Config) -> list[dict[str, Any]]:
    model = config.get("model") or {}
    heads: list[Any] = []
    for name in ("decode_head", "auxiliary_head"):
        head = model.get(name)
        heads += head if isinstance(head, (list, tuple)) else [head]
    return [head for head in heads if isinstance(head, dict)]


def _folder(root: str | None, prefix: str | None) -> Path | None:
    if prefix is None:
        return None
    return Path(root or "", prefix)


def _image_stems(dataset: dict[str, Any], root: str | None, images: Path, conventions: Conventions) -> list[str]:
    listed = dataset.get("ann_file")
    if not listed:
        return sorted(_stems(images, conventions.image_suffix))
    lines = read_text(Path(root or "", listed), max_bytes=MAX_RECORD_BYTES).splitlines()
    return [line.strip() for line in lines if line.strip()]


def _stems(folder: Path, suffix: str) -> Iterator[str]:
    """Names below the folder without the suffix, subfolders included, as mmseg lists them (hidden ones left out)."""
    start = len(str(folder)) + 1
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = f"{parent[start:]}/" if len(parent) > start else ""
        for name in files:
            if name.endswith(suffix) and not name.startswith("."):
                yield inside + name[: len(name) - len(suffix)]


def _what_is_there(folder: Path) -> str | None:
    """What the nearest folder above holds, to show where the layouts part."""
    for parent in folder.parents:
        if parent.is_dir():
            names = sorted(entry.name for entry in parent.iterdir())
            return f"{str(parent)!r} holds {some(names, 5) or 'nothing'}"
    return None


def _suffixes_there(folder: Path) -> str:
    suffixes = {Path(name).suffix for _, _, files in os.walk(folder) for name in files}
    return f"there are files of {some(sorted(filter(None, suffixes)), 5)}" if suffixes else "it holds no file"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
