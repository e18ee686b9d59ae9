"""What image files and label maps hold, whatever it may mean: read whole, each once, and kept in a cache.

A record says nothing of classes, so it serves any encoding. The cache is by size and time of the file, in the user's
cache folder: never in a data root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from PIL import Image

from provecfg.data.encodings import UNREADABLE, first_line, swapped
from provecfg.data.workers import progress, results_of
from provecfg.errors import ProvecfgError
from provecfg.files import open_regular, read_json
from provecfg.paths import cache_dir, write_atomically

MOST_VALUES: Final = 1024
"""Different values that a record lists, the most frequent ones; a photograph has more."""

_FORMAT = 2  # raised whenever a record means something else
_DRAFT = 8  # a JPEG is decoded to an eighth of its size, which finds a cut-off file as well
_DIGEST_BYTES = 8

Image.preinit()  # else a thread would import the decoders


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """What a label map holds.

    Args:
        size: (width, height) in pixels; (0, 0) where it cannot be read.
        channels: How many.
        bits: Of a number: 1, 8, 16 or 32.
        is_palette: Whether numbers are indices of a palette.
        is_grey: Whether all channels, alpha aside, are equal; true of one.
        counts: Pixels by value; where the channels differ, by 65536 red + 256 green + blue. At most `MOST_VALUES`.
        distinct: How many different values there are.
        digest: Of the file's bytes.
        problem: Why it cannot be read, or "".
    """

    size: tuple[int, int] = (0, 0)
    channels: int = 1
    bits: int = 8
    is_palette: bool = False
    is_grey: bool = True
    counts: Mapping[int, int] = field(default_factory=dict)
    distinct: int = 0
    digest: str = ""
    problem: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether `counts` lists every value."""
        return self.distinct <= MOST_VALUES


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What an image is.

    Args:
        size: (width, height) in pixels; (0, 0) where it cannot be read.
        channels: How many.
        bits: Of a number.
        digest: Of the file's bytes.
        problem: Why it cannot be read, or "".
    """

    size: tuple[int, int] = (0, 0)
    channels: int = 3
    bits: int = 8
    digest: str = ""
    problem: str = ""


Record = TypeVar("Record", LabelRecord, ImageRecord)


def look_at_label(path: Path) -> LabelRecord:
    """The record of a label map."""
    digest = ""
    try:
        with open_regular(path) as stream:
            data = stream.read()
        digest = _digest(data)
        with Image.open(io.BytesIO(data)) as image:
            return _label_record(image, digest)
    except UNREADABLE as error:
        return LabelRecord(digest=digest, problem=first_line(error))


def _label_record(image: Image.Image, digest: str) -> LabelRecord:
    size = image.size
    if image.mode in ("L", "P"):  # counted in C, of a palette image the indices
        image.load()
        counts = {value: pixels for value, pixels in enumerate(image.histogram()) if pixels}
        return LabelRecord(size, 1, 8, image.mode == "P", True, counts, len(counts), digest)
    if image.mode in ("RGB", "RGBA"):
        return _colour_record(image, digest)
    pixels = np.asarray(image)
    bits = 1 if pixels.dtype == bool else pixels.dtype.itemsize * 8
    if pixels.dtype.kind not in "biu":
        return LabelRecord(size, digest=digest, problem=f"holds numbers of {pixels.dtype}; a label map has whole ones")
    if pixels.ndim == 2:
        counts, distinct = _counted(pixels.astype(np.int64) if bits != 8 else pixels)
        return LabelRecord(size, 1, bits, False, True, counts, distinct, digest)
    # grey with an alpha channel
    counts, distinct = _counted(pixels[:, :, 0])
    return LabelRecord(size, pixels.shape[2], bits, False, True, counts, distinct, digest)


def _colour_record(image: Image.Image, digest: str) -> LabelRecord:
    channels = len(image.getbands())
    image.load()
    image = image if channels == 3 else image.convert("RGB")
    listed: list[tuple[int, Any]] | None = image.getcolors(MOST_VALUES)  # counted in C, unless there are more
    if listed is not None:
        colours = {red << 16 | green << 8 | blue: pixels for pixels, (red, green, blue) in listed}
        distinct = len(colours)
    else:
        # four bytes a pixel, the last a filler, compare as one number
        counts, distinct = _counted(np.frombuffer(image.tobytes("raw", "RGBX"), "<u4"))
        colours = {swapped(value & 0xFFFFFF): pixels for value, pixels in counts.items()}
    is_grey = all(colour == (colour & 255) * 0x010101 for colour in colours)
    if is_grey:
        colours = {colour & 255: pixels for colour, pixels in colours.items()}
    return LabelRecord(image.size, channels, 8, False, is_grey, dict(sorted(colours.items())), distinct, digest)


def _counted(values: np.ndarray) -> tuple[dict[int, int], int]:
    """Pixels by value, and how many values there are. Label maps have long runs, which are sorted, not the pixels."""
    flat = np.ascontiguousarray(values).ravel()
    if not flat.size:
        return {}, 0
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(np.append(starts, flat.size))
    distinct, which = np.unique(flat[starts], return_inverse=True)
    pixels = np.bincount(which.ravel(), weights=lengths).astype(np.int64)
    chosen = np.sort(np.argsort(-pixels, kind="stable")[:MOST_VALUES])
    return dict(zip(distinct[chosen].tolist(), pixels[chosen].tolist(), strict=True)), len(distinct)


def look_at_image(path: Path) -> ImageRecord:
    """The record of an image."""
    digest = ""
    try:
        with open_regular(path) as stream:
            data = stream.read()
        digest = _digest(data)
        with Image.open(io.BytesIO(data)) as image:
            # an index of a palette is a colour
            size, bands = image.size, 3 if image.mode in ("P", "PA") else len(image.getbands())
            bits = _bits(image)
            image.draft(image.mode, (size[0] // _DRAFT, size[1] // _DRAFT))
            image.load()
            return ImageRecord(size, bands, bits, digest)
    except UNREADABLE as error:
        return ImageRecord(digest=digest, problem=first_line(error))


def _bits(image: Image.Image) -> int:
    """Of a channel of an opened image, before it is loaded."""
    # Pillow gives colours of 16 bits as 8, and keeps how the file has them in what it decodes by.
    # "BGR;16" alone is another: a bitmap's three colours in 16 bits.
    how = [str(tile[3]).replace("BGR;16", "") for tile in getattr(image, "tile", ())]
    if image.mode.startswith("I;16") or any(";16" in mode for mode in how):
        return 16
    return 1 if image.mode == "1" else 32 if image.mode in "IF" else 8


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def label_records(root: Path, names: Sequence[str], **options: Any) -> dict[str, LabelRecord]:
    """The records of label maps by name; see `_records`."""
    return _records(root, names, look_at_label, LabelRecord, "reading label maps", **options)


def image_records(root: Path, names: Sequence[str], **options: Any) -> dict[str, ImageRecord]:
    """The records of images by name; see `_records`."""
    return _records(root, names, look_at_image, ImageRecord, "reading images", **options)


def _records(
    root: Path,
    names: Sequence[str],
    look_at: Callable[[Path], Record],
    kind: type[Record],
    what: str,
    *,
    processes: int | None = None,
    shows_progress: bool = False,
) -> dict[str, Record]:
    """The records of files below a root: from the cache where the file has the size and the time of then, read else.

    Args:
        root: Of the data.
        names: Below it, with "/".
        look_at: Reads a file.
        kind: What it returns.
        what: Is done, for the progress bar.
        processes: As of `workers.results_of`.
        shows_progress: Whether a bar is shown on standard error.
    """
    cache = _Cache(root, kind)
    records: dict[str, Record] = {}
    missing: list[str] = []
    stamps: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys(names):
        try:
            status = (root / name).stat()
        except OSError as error:
            records[name] = kind(problem=error.strerror or str(error))
            continue
        stamps[name] = (status.st_size, status.st_mtime_ns)
        cached = cache.record(name, stamps[name])
        if cached is None:
            missing.append(name)
        else:
            records[name] = cached
    with progress(what, len(missing), shows_progress) as advance:
        for name, record in zip(
            missing, results_of(look_at, [root / name for name in missing], processes), strict=True
        ):
            records[name] = record
            advance()
    if missing:
        cache.add({name: (stamps[name], records[name]) for name in missing})
    return records


class _Cache:
    """The records of one kind below one root, in the user's cache folder."""

    def __init__(self, root: Path, kind: type[Any]) -> None:
        name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self.path = cache_dir() / "data" / f"{name}-{kind.__name__}-v{_FORMAT}.json"
        self.kind = kind
        try:
            rows = read_json(self.path)
        except (OSError, ValueError):  # none yet, or one that was cut off: it is made again
            rows = {}
        self.rows: dict[str, Any] = rows if isinstance(rows, dict) else {}

    def record(self, name: str, stamp: tuple[int, int]) -> Any:
        row = self.rows.get(name)
        if not isinstance(row, list) or len(row) != 3 or tuple(row[:2]) != stamp:
            return None
        fields = dict(row[2])
        fields["size"] = tuple(fields["size"])
        if "counts" in fields:
            fields["counts"] = {int(value): pixels for value, pixels in fields["counts"].items()}
        return self.kind(**fields)

    def add(self, records: Mapping[str, tuple[tuple[int, int], Any]]) -> None:
        for name, (stamp, record) in records.items():
            self.rows[name] = [*stamp, _fields(record)]
        with contextlib.suppress(ProvecfgError):  # a cache that cannot be written costs time alone
            write_atomically(self.path, json.dumps(self.rows, separators=(",", ":")))


def _fields(record: LabelRecord | ImageRecord) -> dict[str, Any]:
    defaults = type(record)()
    return {
        item.name: dict(value) if isinstance(value := getattr(record, item.name), Mapping) else value
        for item in dataclasses.fields(record)
        if item.name == "size" or getattr(record, item.name) != getattr(defaults, item.name)
    }


def summed(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Pixels by value, over several label maps."""
    total: dict[int, int] = {}
    for part in counts:
        for value, pixels in part.items():
            total[value] = total.get(value, 0) + pixels
    return dict(sorted(total.items()))
