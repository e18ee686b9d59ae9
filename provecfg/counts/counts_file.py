"""The file that keeps what a validation counted: plain arrays in an .npz, which loads without pickle."""

from __future__ import annotations

import contextlib
import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.boundary_bands import FRACTIONS, FRACTIONS_PER_IMAGE, BoundaryConvention
from provecfg.counts.calibration import BINS, UNIT
from provecfg.counts.validation import Occasion, ValidationCounts
from provecfg.errors import ProvecfgError
from provecfg.files import open_regular

FOLDER: Final = "counts"
"""Folder in a work dir."""
_FORMAT: Final = 1
_NPY_1_0: Final = np.lib.format.magic(1, 0)
_HEADER_SIZE: Final = struct.Struct("<H")
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
"""Before each member of an archive: its mark, and the sizes of the name and of the further fields that follow."""
_LOCAL_MARK: Final = b"PK\x03\x04"
_IS_ENCRYPTED: Final = 1
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_LARGEST_ARRAY: Final = 2**31
"""Bytes; a small file may say to hold any number."""
_CONVENTIONS: Final = {
    "distance": "chessboard, in pixels",
    "regions": "pixels: intersection, prediction, label; ignored pixels are in none",
    "bands": "the same, of pixels in the band along the boundaries of their own map",
    "confusion": "rows labels, columns predictions, the last of each what is no class",
    "calibration": f"by predicted class and {BINS} bins of confidence: pixels, correct, sum of confidences / {UNIT}",
}
_ARRAYS: Final[Mapping[str, type[Any]]] = {
    "image_names": np.str_,
    "image_sizes": np.int32,
    "offsets": np.int64,
    "row_classes": np.uint16,
    "regions": np.uint32,
    "bands": np.uint32,
    "band_sums": np.int64,
    "confusion": np.int64,
    "calibration": np.int64,
    "image_confusion": np.int64,
    "image_calibration": np.int64,
}
"""Array in the file -> its type there."""
_ABOUT: Final = ("classes", "ignore_index", "images", "data", "boundaries", "calibration_sources", "occasion")
"""What a file says of itself, beside its format and conventions."""
_REGIONS_AND_SUMS: Final = ("offsets", "row_classes", "regions", "band_sums", "confusion", "calibration")


def to_bytes(counts: ValidationCounts) -> bytes:
    """The file's contents. Equal counts give equal bytes."""
    convention = counts.boundaries
    about = {
        "format": _FORMAT,
        "classes": list(counts.classes),
        "ignore_index": counts.ignore_index,
        "images": counts.num_images,
        "data": counts.data_digest,
        "boundaries": convention
        and {
            **asdict(convention),
            "fractions": list(FRACTIONS),
            "fractions_per_image": list(FRACTIONS_PER_IMAGE),
        },
        "calibration_sources": dict(counts.calibration_sources),
        "occasion": asdict(counts.occasion),
        "conventions": _CONVENTIONS,
    }
    stream = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(getattr(counts, name), kind) for name, kind in _ARRAYS.items()}
    np.savez_compressed(stream, about=np.array(json.dumps(about)), **arrays)
    return stream.getvalue()


class Member(NamedTuple):
    """Where an array is in a file, as the archive's directory says.

    Args:
        offset: Of its header, in bytes.
        stored_size, size: In bytes, as it stands there and unpacked.
        is_deflated: Whether it is packed, by the one method that NumPy uses.
        checksum: CRC-32 of the unpacked bytes.
    """

    offset: int
    stored_size: int
    size: int
    is_deflated: bool
    checksum: int


Members = Mapping[str, Member]
"""Name of an array -> where it is."""


@dataclass(frozen=True)
class CountsFile:
    """A file of counts, of which only what is asked for is read, and kept by nobody: a study has thousands of them.

    Args:
        path: The file.
        about: What it says of itself.
        members: Where its arrays are.
    """

    path: Path
    about: Mapping[str, Any]
    members: Members

    @property
    def occasion(self) -> Occasion:
        """When and of what the validation was."""
        return Occasion(**self.about["occasion"])

    @property
    def data_digest(self) -> str:
        """`ValidationCounts.data_digest` of what is in it."""
        return str(self.about["data"])

    def read(self) -> ValidationCounts:
        """All that is in it.

        Raises:
            ProvecfgError: It is damaged.
        """
        return self._read(tuple(_ARRAYS))

    def read_regions_and_sums(self) -> ValidationCounts:
        """What the scores of all images together need, quicker to read: images have no name, no size and no bands.

        Raises:
            ProvecfgError: It is damaged.
        """
        return self._read(_REGIONS_AND_SUMS)

    def _read(self, names: Sequence[str]) -> ValidationCounts:
        with _opened(self.path) as stream:
            arrays = {name: _array(stream, self.members, name) for name in names}
            return _counts(self.about, arrays)


def read_counts_file(path: Path) -> CountsFile:
    """Open a file of counts.

    Raises:
        ProvecfgError: It cannot be read, is no such file, or is of another version of the format.
    """
    with _opened(path) as stream:
        members = _members(stream)
        about = json.loads(str(_array(stream, members, "about")))
        if not isinstance(about, dict) or "format" not in about:
            raise ValueError("it does not say its format")
        if about["format"] == _FORMAT:
            Occasion(**about["occasion"])
            return CountsFile(path, {key: about[key] for key in _ABOUT}, members)
    raise ProvecfgError(
        f"{path} is a file of counts of format {about['format']!r}, this provecfg reads {_FORMAT}",
        hint="read it with the provecfg that wrote it, or make the counts anew with `provecfg eval`",
    )


def read_counts(path: Path) -> ValidationCounts:
    """All that is in a file of counts.

    Raises:
        ProvecfgError: As `read_counts_file`, or it is damaged.
    """
    return read_counts_file(path).read()


def _counts(about: Mapping[str, Any], arrays: dict[str, NDArray[Any]]) -> ValidationCounts:
    """The counts of arrays as they are in a file; of those that are left out, nothing.

    Raises:
        ValueError: They do not fit together.
    """
    count, convention = len(about["classes"]), about["boundaries"]
    absent: dict[str, NDArray[Any]] = {
        "image_names": np.zeros(0, np.str_),
        "image_sizes": np.zeros((0, 2), np.int64),
        "bands": np.zeros((0, 0, 3), np.int64),
        "image_confusion": np.zeros((0, 3), np.int64),
        "image_calibration": np.zeros((0, BINS, 3), np.int64),
    }
    for name, values in arrays.items():
        if values.dtype.kind != "U":
            arrays[name] = values.astype(np.int64)
    if arrays["confusion"].shape != (count + 1, count + 1):
        raise ValueError(f"its confusion matrix is not one of {count} classes")
    images = len(arrays["offsets"]) - 1
    if (
        images != about["images"]
        or len(arrays.get("image_names", arrays["offsets"][1:])) != images
        or not arrays["offsets"][-1] == len(arrays["row_classes"]) == len(arrays["regions"])
        or arrays["row_classes"].max(initial=0) >= count
    ):
        raise ValueError("its images and rows do not fit together")
    return ValidationCounts(
        classes=tuple(about["classes"]),
        ignore_index=about["ignore_index"],
        boundaries=convention and BoundaryConvention(convention["image_border"], convention["ignored_border"]),
        calibration_sources=about["calibration_sources"],
        occasion=Occasion(**about["occasion"]),
        **{**absent, **arrays},
    )


def _members(stream: BinaryIO) -> Members:
    """The arrays of an archive.

    Raises:
        ValueError: One is packed in a way that NumPy has not.
    """
    members = {}
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            if info.flag_bits & _IS_ENCRYPTED:
                raise ValueError(f"its {info.filename} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its {info.filename} is packed in another way than NumPy does")
            is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
            name = info.filename.removesuffix(".npy")
            members[name] = Member(info.header_offset, info.compress_size, info.file_size, is_deflated, info.CRC)
    return members


def _unpacked(stream: BinaryIO, member: Member) -> bytes:
    """The bytes of a member. `ZipFile.read` takes several times as long for the small ones that most are.

    Raises:
        ValueError: They are not those that were packed.
    """
    stream.seek(member.offset)
    mark, name_size, extra_size = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    if mark != _LOCAL_MARK:
        raise ValueError("its directory names places where nothing is")
    stream.seek(name_size + extra_size, io.SEEK_CUR)
    data = stream.read(member.stored_size)
    if member.is_deflated:
        # One byte more than it says to have, to notice that it has more without unpacking all of that.
        data = zlib.decompressobj(_RAW_DEFLATE).decompress(data, member.size + 1)
    if len(data) != member.size or zlib.crc32(data) != member.checksum:
        raise ValueError("its checksum is wrong")
    return data


def _array(stream: BinaryIO, members: Members, name: str) -> NDArray[Any]:
    """An array of a file, read-only.

    numpy.load evaluates the header of each array as Python, which takes longer than all else where a study has
    thousands of files of a few numbers.
    """
    member = members.get(name)
    if member is None:
        raise ValueError(f"it has no {name}")
    if member.size > _LARGEST_ARRAY:
        raise ValueError(f"its {name} says to have {member.size} bytes")
    data = _unpacked(stream, member)
    if not data.startswith(_NPY_1_0):
        raise ValueError(f"its {name} is in another format than NumPy writes it in")
    start = len(_NPY_1_0) + _HEADER_SIZE.size + _HEADER_SIZE.unpack_from(data, len(_NPY_1_0))[0]
    shape, is_fortran, kind = _header(data[len(_NPY_1_0) : start])
    if kind.hasobject:
        raise ValueError(f"its {name} holds objects")
    values = np.frombuffer(data, kind, math.prod(shape), start)
    return values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)


@lru_cache(maxsize=512)
def _header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type, as the header of an array has them."""
    return np.lib.format.read_array_header_1_0(io.BytesIO(header))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file's bytes; what is wrong with them is said in words."""
    try:
        with open_regular(path) as stream:
            yield stream
    except (
        EOFError,
        KeyError,
        MemoryError,  # of an array that says to be huge
        OSError,
        OverflowError,
        RuntimeError,  # of one that is encrypted
        TypeError,
        ValueError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ProvecfgError(
            f"{path} is no whole file of counts: {error}",
            hint="remove it; `provecfg eval` makes the counts of a checkpoint anew",
        ) from error
