"""The data of a run, looked at before training: folders, pairs, and every image and label map.

What was looked at before and has not changed since is not read again: see `data.records`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from provecfg.catalog.encodings import IGNORED
from provecfg.data.encodings import LabelDecoder, swapped
from provecfg.data.layouts import Layout, paired_layout
from provecfg.data.records import LabelRecord, image_records, label_records
from provecfg.errors import ProvecfgError
from provecfg.files import MAX_RECORD_BYTES, read_text
from provecfg.findings import Finding
from provecfg.pairs import Pair
from provecfg.spelling import first_few as some
from provecfg.training.adapt import catalog_dataset, datasets_of
from provecfg.training.image_checks import check_images
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

_SHOWN = 3  # files of a kind that have a finding each


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


def check_data(config: Config, *, known: bool | None = None) -> list[Finding]:
    """What is wrong with the data that training and validation read.

    Args:
        config: The config.
        known: Look only at datasets whose class the catalog knows (True) or does not know (False). Of the latter mmseg
            is asked, which imports it.
    """
    findings: list[Finding] = []
    for key, dataset in datasets_of(config):
        is_known = catalog_dataset(dataset) is not None or paired_layout(dataset) is not None
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
    paired = paired_layout(dataset)
    if paired is not None:
        return _check_paired(key, dataset, paired, num_classes)
    conventions = _conventions(dataset, num_classes)
    if conventions is None or dataset.get("backend_args") or dataset.get("file_client_args"):
        kind = dataset.get("type")
        return [Finding(DATA_NOT_CHECKED, f"the data of {kind} is not checked before training", f"{key}.type")]
    root, prefix = dataset.get("data_root"), dataset.get("data_prefix") or {}
    if root and not os.path.isdir(root):
        return [_no_root(key, Path(root))]
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
    except (OSError, ValueError) as error:  # ValueError: it is no text
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


def _no_root(key: str, root: Path) -> Finding:
    return Finding(
        NO_DATA_ROOT,
        f"data root {str(root)!r} does not exist (looked in {os.getcwd()})",
        f"{key}.data_root",
        hint="name the folder with --data-root DIR, or try the config without data: --smoke",
    )


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
        Pair(f"{stem}{conventions.image_suffix}", f"{stem}{conventions.label_suffix}", stem)
        for stem in stems
        if stem in label_stems
    ]
    first = int(conventions.reduce_zero_label)
    count = None if conventions.classes is None else conventions.classes + first
    labels_read = _LabelReading(None if count is None else frozenset(range(count)), ignored, first)
    image_files, label_files = _Folder(images), _Folder(labels)
    return findings + list(_judge(key, dataset, pairs, image_files, label_files, labels_read))


def _check_paired(key: str, dataset: dict[str, Any], layout: Layout, num_classes: int | None) -> list[Finding]:
    """What is wrong with the data of the plugin's own dataset class."""
    root = Path(dataset.get("data_root") or "")
    if not root.is_dir():
        return [_no_root(key, root)]
    try:
        pairs = layout.selection.pairs(root)
    except ProvecfgError as error:
        return [Finding(EMPTY_SPLIT, error.message, f"{key}.images", hint=error.hint)]
    try:
        decoder = layout.decoder()
    except ProvecfgError as error:
        return [Finding(LABEL_OUTSIDE_CLASSES, error.message, f"{key}.mapping", hint=error.hint)]
    findings = []
    without_label = [pair.image for pair in pairs if not (root / pair.label).is_file()]
    if without_label:
        findings.append(
            Finding(
                IMAGE_WITHOUT_LABEL,
                f"{len(without_label)} of {len(pairs)} images have no label map: {some(without_label)}",
                f"{key}.labels",
                hint=f"of {without_label[0]} it is looked for as {_label_of(pairs, without_label[0])}",
            )
        )
    most = num_classes if num_classes is not None else len(layout.classes)
    if len(layout.classes) > most:
        message = f"the dataset has {len(layout.classes)} classes, and a head tells {most} apart"
        findings.append(Finding(LABEL_OUTSIDE_CLASSES, message, f"{key}.metainfo.classes"))
    present = [pair for pair in pairs if (root / pair.label).is_file()]
    folder = _Folder(root)
    reading = _LabelReading(None, IGNORED, 0, decoder, follows_images=layout.selection.manifest is not None)
    return findings + list(_judge(key, dataset, present, folder, folder, reading))


def _label_of(pairs: Sequence[Pair], image: str) -> str:
    return next(pair.label for pair in pairs if pair.image == image)


@dataclass(frozen=True, slots=True)
class _Folder:
    """What names of files are relative to."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name


@dataclass(frozen=True, slots=True)
class _LabelReading:
    """What values of a label map mean.

    Args:
        values: Those that are classes; None where that is not known.
        ignored: The value of no class.
        first: The lowest that is a class: 1 where 0 is reduced away.
        decoder: Of the plugin's own datasets, which says all of it.
        follows_images: Whether a label map is stretched to its image's size.
    """

    values: frozenset[int] | None
    ignored: int
    first: int
    decoder: LabelDecoder | None = None
    follows_images: bool = False

    def takes_channels(self, record: LabelRecord) -> bool:
        """Whether a label map has as many channels as are read."""
        encoding = self.decoder.encoding if self.decoder is not None else "ids"
        if encoding == "rgb":
            return record.channels >= 3
        return record.channels == 1 or (encoding == "repeated" and record.is_grey)

    def codes(self, record: LabelRecord) -> list[int]:
        """Its values, as the decoder numbers them."""
        if self.decoder is None or self.decoder.encoding != "rgb":
            return list(record.counts)
        colours = [value * 0x010101 if record.is_grey else value for value in record.counts]
        return [swapped(colour) if self.decoder.channel_order == "bgr" else colour for colour in colours]

    def outside(self, record: LabelRecord) -> list[int]:
        """Values that are no class."""
        if self.decoder is not None:
            return [code for code in self.codes(record) if self.decoder.meaning(code) is None]
        if self.values is None:
            return []
        return [value for value in record.counts if value != self.ignored and value not in self.values]

    def classes(self, record: LabelRecord) -> set[int]:
        """Classes with a pixel."""
        if self.decoder is not None:
            labels = {self.decoder.meaning(code) for code in self.codes(record)}
            return {label for label in labels if label is not None and label != IGNORED}
        return {value for value in record.counts if value != self.ignored and value >= self.first}

    def shown(self, code: int) -> str:
        return self.decoder.shown(code) if self.decoder is not None else str(code)


def _judge(
    key: str,
    dataset: Mapping[str, Any],
    pairs: Sequence[Pair],
    image_files: _Folder,
    label_files: _Folder,
    reading: _LabelReading,
) -> Iterator[Finding]:
    images = image_records(image_files.path, [pair.image for pair in pairs])
    yield from check_images(key, dataset, images)
    labels = label_records(label_files.path, [pair.label for pair in pairs])
    unreadable = [
        (folder / name, record.problem)
        for pair in pairs
        for folder, name, record in (
            (image_files, pair.image, images[pair.image]),
            (label_files, pair.label, labels[pair.label]),
        )
        if record.problem
    ]
    for path, reason in unreadable[:_SHOWN]:
        yield Finding(UNREADABLE_IMAGE, f"{str(path)!r} cannot be decoded: {reason}", key)
    if len(unreadable) > _SHOWN:
        yield Finding(UNREADABLE_IMAGE, f"{len(unreadable) - _SHOWN} more files cannot be decoded", key)
    readable = [pair for pair in pairs if not labels[pair.label].problem]
    place = f"{key}.labels" if reading.decoder is not None else f"{key}.data_prefix.seg_map_path"
    coloured = [pair for pair in readable if not reading.takes_channels(labels[pair.label])]
    if coloured:
        channels = labels[coloured[0].label].channels
        encoding = reading.decoder.encoding if reading.decoder is not None else ""
        yield Finding(
            LABEL_WITH_COLOURS,
            f"{len(coloured)} of {len(pairs)} label maps have "
            + (f"channels that are not as of {encoding}" if encoding else "several channels")
            + f", {channels} in {str(label_files / coloured[0].label)!r}",
            place,
            hint="a label map has one channel, of class numbers; a dataset's entry in a study says what colours mean",
        )
    differing = [
        pair
        for pair in readable
        if not images[pair.image].problem
        and images[pair.image].size != labels[pair.label].size
        and not reading.follows_images
    ]
    for pair in differing[:_SHOWN]:
        yield Finding(
            SIZES_DIFFER,
            f"{str(image_files / pair.image)!r} is {_size(images[pair.image].size)}, its label map "
            f"{_size(labels[pair.label].size)}",
            key,
        )
    if len(differing) > _SHOWN:
        yield Finding(SIZES_DIFFER, f"{len(differing) - _SHOWN} more label maps are not of their images' size", key)
    readable = [pair for pair in readable if reading.takes_channels(labels[pair.label])]
    yield from _labels_outside(place, readable, labels, label_files, reading)
    classes = {label for pair in readable for label in reading.classes(labels[pair.label])}
    if readable and len(classes) < 2:
        held = f"only class {min(classes)}" if classes else "no class"
        yield Finding(
            NOTHING_LABELLED,
            f"the {len(readable)} label maps hold {held} beside the ignored label {reading.ignored}",
            place,
            hint=_hint_for_masks(reading, {value for pair in readable for value in labels[pair.label].counts}),
        )


def _hint_for_masks(reading: _LabelReading, values: set[int]) -> str | None:
    """What to do about masks that hold 255 where something is, which is the ignored label."""
    if reading.ignored != IGNORED or values - {0, IGNORED} or IGNORED not in values:
        return None
    if reading.decoder is not None:
        return "masks of 0 and 255 are `encoding: binary_255` in the dataset's entry"
    return "masks of 0 and 255: write 1 for 255, or let a study's dataset read them by `encoding: binary_255`"


def _labels_outside(
    place: str,
    pairs: Sequence[Pair],
    labels: Mapping[str, LabelRecord],
    folder: _Folder,
    reading: _LabelReading,
) -> Iterator[Finding]:
    outside: dict[int, list[str]] = {}
    for pair in pairs:
        for value in reading.outside(labels[pair.label]):
            outside.setdefault(value, []).append(pair.label)
    if not outside:
        return
    values = sorted(outside)
    value, files = values[-1], outside[values[-1]]
    if reading.values is not None:
        known = f"classes are 0 to {max(reading.values)}, {reading.ignored} is ignored"
    else:
        known = "the dataset's mapping gives it no class"
    others = some([reading.shown(other) for other in values[:-1]], 8)
    yield Finding(
        LABEL_OUTSIDE_CLASSES,
        f"label {reading.shown(value)} in {str(folder / files[0])!r}: {known}"
        + (f"; outside are also {others}" if others else ""),
        place,
        hint=f"found in {len({file for files in outside.values() for file in files})} of {len(pairs)} label maps; map "
        "the values to train ids, or mend num_classes",
    )


def _conventions(dataset: dict[str, Any], num_classes: int | None) -> Conventions | None:
    known = catalog_dataset(dataset)
    if known is not None:
        suffixes, own_classes, reduce = (
            (known.image_suffix, known.label_suffix),
            len(known.classes),
            known.reduces_zero_label,
        )
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
