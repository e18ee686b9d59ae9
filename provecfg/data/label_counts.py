"""The training labels of a dataset, counted: every label map, in several processes."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from provecfg.catalog.datasets import Dataset
from provecfg.class_weights.formulas import ClassCount, LabelCounts
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.files import open_regular

_FEW = 64  # label maps that are counted sooner than processes start
_CHUNK = 8  # label maps that a process is handed at once
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
    folder, image_folder = root / dataset.train.labels, root / dataset.train.images
    if not folder.is_dir():
        raise ProvecfgError(
            f"folder {str(folder)!r} does not exist", hint=f"{_contents(folder)}; {dataset.title} has its labels there"
        )
    stems = set(_stems(folder, dataset.label_suffix))
    if not stems:
        raise ProvecfgError(f"no file in {str(folder)!r} ends in {dataset.label_suffix!r}", hint=_contents(folder))
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
    with _progress(len(paths), shows_progress) as advance:
        for name, path, label_map in zip(files.names, paths, _counted(paths, processes), strict=True):
            advance()
            histogram, problem = label_map.histogram, label_map.problem
            outside = sorted(value for value in histogram if value != dataset.ignore_index and not 0 <= value < counted)
            if problem is None and outside:
                values = ", ".join(map(str, outside[:_SHOWN])) + (" ..." if len(outside) > _SHOWN else "")
                problem = f"holds {values}; classes are 0 to {counted - 1}, {dataset.ignore_index} is ignored"
            if problem is not None:
                problems.append(f"{path}: {problem}")
                continue
            digest.update(f"{name}\0{sorted(histogram.items())}\n".encode())
            present = [value for value in histogram if value != dataset.ignore_index]
            labelled = sum(histogram[value] for value in present)
            ignored += histogram.get(dataset.ignore_index, 0)
            for value in present:
                pixels[value] += histogram[value]
                holding[value] += 1
                file_pixels[value] += labelled
    if problems:
        raise _refusal(problems, len(paths), dataset)
    classes = tuple(map(ClassCount, pixels, holding, file_pixels))
    return LabelCounts(classes, len(paths), ignored, f"sha256:{digest.hexdigest()}")


@dataclass(frozen=True, slots=True)
class _LabelMap:
    """What a label map holds: pixels by value, or what is wrong with it."""

    histogram: Mapping[int, int]
    problem: str | None = None


def _look_at(path: Path) -> _LabelMap:
    try:
        with open_regular(path) as stream, Image.open(stream) as image:
            if len(image.getbands()) > 1:
                return _LabelMap({}, f"has {len(image.getbands())} channels; a label map has one, of class numbers")
            if image.mode in ("L", "P"):  # of a palette image, the indices
                image.load()
                return _LabelMap({value: pixels for value, pixels in enumerate(image.histogram()) if pixels})
            values, pixels = np.unique(np.asarray(image), return_counts=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what PIL raises, by format
        reason = str(error).partition("\n")[0] or type(error).__name__
        return _LabelMap({}, f"cannot be decoded: {reason}")
    if values.dtype.kind not in "biu":
        return _LabelMap({}, f"holds {values.dtype} numbers; a label map has whole ones")
    return _LabelMap(dict(zip(values.astype(int).tolist(), pixels.tolist(), strict=True)))


def _counted(paths: Sequence[Path], processes: int | None) -> Iterator[_LabelMap]:
    """What each file holds, in the order of the files."""
    processes = min(processes or _cores(), -(-len(paths) // _CHUNK))
    if processes <= 1 or len(paths) <= _FEW:
        yield from map(_look_at, paths)
        return
    # Spawned, since the bar has a thread, and a process with threads is not safely forked.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_leave_interrupts_to_the_parent)
    try:
        yield from pool.map(_look_at, paths, chunksize=_CHUNK)
    except BrokenProcessPool as error:
        raise ProvecfgError(
            "a process that counted labels was ended from outside, for want of memory perhaps",
            hint="count in fewer processes: --jobs 1",
            exit_code=ExitCode.FINDINGS,
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _progress(total: int, is_shown: bool) -> Iterator[Callable[[], None]]:
    if not is_shown:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("counting labels"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


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


def _contents(folder: Path) -> str:
    """What the folder, or the nearest one above it that exists, holds."""
    nearest = next(candidate for candidate in (folder, *folder.parents) if candidate.is_dir())
    names = sorted(entry.name for entry in nearest.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{str(nearest)!r} holds {', '.join(names[:_SHOWN]) or 'nothing'}{more}"
