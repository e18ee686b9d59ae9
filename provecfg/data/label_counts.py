"""The training labels of a dataset, counted: every label map, in several processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provecfg.catalog.datasets import Dataset
from provecfg.catalog.encodings import IGNORED
from provecfg.class_weights.formulas import ClassCount, LabelCounts
from provecfg.data.encodings import LabelDecoder, swapped
from provecfg.data.layouts import layout_of
from provecfg.data.records import LabelRecord, look_at_label
from provecfg.data.workers import progress, results_of
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.pairs import what_is_there

_SHOWN = 5  # files that are named when many are wrong


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """The label maps that training reads.

    Args:
        folder: What they are in.
        names: Of the files, relative to the folder, with "/"; sorted.
        without_image: Label maps that no image belongs to, which training does not read; sorted.
        without_labels: Images that no label map belongs to; sorted.
    """

    folder: Path
    names: tuple[str, ...]
    without_image: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()


def find_label_files(root: Path, dataset: Dataset) -> LabelFiles:
    """The label maps of the training split, subfolders included.

    mmseg goes by the images; so label maps of no image are left out, unless there is no folder of images.

    Raises:
        ProvecfgError: The root, the folder of label maps or the label maps are not there; says what is instead.
    """
    if not root.is_dir():
        raise ProvecfgError(f"data root {str(root)!r} does not exist")
    if dataset.is_paired or dataset.train.files is not None:
        pairs = dataset.selection(dataset.train).pairs(root)
        return LabelFiles(
            root,
            tuple(sorted({pair.label for pair in pairs if (root / pair.label).is_file()})),
            without_labels=tuple(pair.image for pair in pairs if not (root / pair.label).is_file()),
        )
    folder, image_folder = root / (dataset.train.labels or ""), root / (dataset.train.images or "")
    if not folder.is_dir():
        raise ProvecfgError(
            f"folder {str(folder)!r} does not exist",
            hint=f"{what_is_there(folder)}; {dataset.title} has its labels there",
        )
    stems = set(_stems(folder, dataset.label_suffix))
    if not stems:
        raise ProvecfgError(f"no file in {str(folder)!r} ends in {dataset.label_suffix!r}", hint=what_is_there(folder))
    images = set(_stems(image_folder, dataset.image_suffix)) if image_folder.is_dir() else stems
    if not stems & images:
        raise ProvecfgError(
            f"none of the {len(stems)} label maps in {str(folder)!r} belongs to an image in {str(image_folder)!r}",
            hint=f"of NAME{dataset.image_suffix} the label map is NAME{dataset.label_suffix}",
        )

    def named(chosen: set[str], suffix: str) -> tuple[str, ...]:
        return tuple(sorted(stem + suffix for stem in chosen))

    return LabelFiles(
        folder,
        named(stems & images, dataset.label_suffix),
        named(stems - images, dataset.label_suffix),
        named(images - stems, dataset.image_suffix),
    )


def count_labels(
    files: LabelFiles, dataset: Dataset, *, processes: int | None = None, shows_progress: bool = False
) -> LabelCounts:
    """Count the pixels of every class in every label map.

    The result does not depend on the number of processes, nor on how the files are compressed. Its digest is
    SHA-256 over the names, in order, each with the values that its label map holds and how many pixels of each: label
    maps that could give other weights have another digest.

    Args:
        files: What to count.
        dataset: Number of classes, and the ignored label.
        processes: How many; as many as the machine has cores for this process unless given.
        shows_progress: Whether a bar is shown on standard error.

    Raises:
        ProvecfgError: A file cannot be decoded, has several channels, or holds a value that is no class; names the
            files, and the value. All files are looked at first.
    """
    counted = len(dataset.classes)
    pixels, holding, file_pixels = [0] * counted, [0] * counted, [0] * counted
    ignored = 0
    digest = hashlib.sha256()
    problems: list[str] = []
    paths = [files.folder / name for name in files.names]
    decoder = layout_of(dataset, dataset.train).decoder()
    looked_at = results_of(look_at_label, paths, processes)
    with progress("counting labels", len(paths), shows_progress) as advance:
        for name, path, record in zip(files.names, paths, looked_at, strict=True):
            advance()
            problem = _problem(record, dataset, decoder)
            if problem is not None:
                problems.append(f"{path}: {problem}")
                continue
            histogram: dict[int, int] = {}
            for code, count in _codes(record, dataset).items():
                label = decoder.meaning(code)
                assert label is not None
                histogram[label] = histogram.get(label, 0) + count
            digest.update(f"{name}\0{sorted(histogram.items())}\n".encode())
            present = [value for value in histogram if value != IGNORED]
            labelled = sum(histogram[value] for value in present)
            ignored += histogram.get(IGNORED, 0)
            for value in present:
                pixels[value] += histogram[value]
                holding[value] += 1
                file_pixels[value] += labelled
    if problems:
        raise _refusal(problems, len(paths), dataset)
    classes = tuple(map(ClassCount, pixels, holding, file_pixels))
    return LabelCounts(classes, len(paths), ignored, f"sha256:{digest.hexdigest()}")


def _problem(record: LabelRecord, dataset: Dataset, decoder: LabelDecoder) -> str | None:
    """Why a label map cannot be counted, or None."""
    if record.problem:
        return record.problem if record.problem.startswith("holds") else f"cannot be decoded: {record.problem}"
    if record.channels > 1 and dataset.encoding not in ("rgb", "repeated"):
        return f"has {record.channels} channels; a label map has one, of class numbers"
    if record.channels == 1 and dataset.encoding in ("rgb", "repeated"):
        return f"has one channel; {dataset.title} has label maps of three"
    if not record.is_grey and dataset.encoding == "repeated":
        return "has three channels that are not equal"
    outside = [code for code in _codes(record, dataset) if decoder.meaning(code) is None]
    if not outside:
        return None
    values = ", ".join(map(decoder.shown, outside[:_SHOWN])) + (" ..." if len(outside) > _SHOWN else "")
    if dataset.meaning is None and dataset.encoding in ("ids", "palette", "repeated"):
        return f"holds {values}; classes are 0 to {len(dataset.classes) - 1}, {IGNORED} is ignored"
    return f"holds {values}, which has no class"


def _codes(record: LabelRecord, dataset: Dataset) -> dict[int, int]:
    """Pixels by value, as the decoder numbers them."""
    if dataset.encoding != "rgb":
        return dict(record.counts)
    colours = {value * 0x010101 if record.is_grey else value: count for value, count in record.counts.items()}
    return {swapped(colour) if dataset.channel_order == "bgr" else colour: n for colour, n in colours.items()}


def _refusal(problems: list[str], files: int, dataset: Dataset) -> ProvecfgError:
    shown = "\n".join(f"  {problem}" for problem in problems[:_SHOWN])
    more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return ProvecfgError(
        f"{len(problems)} of {files} label maps cannot be counted:\n{shown}{more}",
        hint=f"{dataset.title} is read as NAME{dataset.label_suffix}, one channel of train ids",
        exit_code=ExitCode.FINDINGS,
    )


def _stems(folder: Path, suffix: str) -> Iterator[str]:
    """Names below the folder without the suffix, with "/", as mmseg lists them: hidden ones left out."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(parent).relative_to(folder)
        for name in names:
            if name.endswith(suffix) and not name.startswith("."):
                yield (inside / name[: len(name) - len(suffix)]).as_posix()
