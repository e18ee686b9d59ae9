"""Label maps as files hold them, and as training reads them: decoded, mapped, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from provecfg.catalog.encodings import IGNORED, LARGEST_VALUE, MOST_CLASSES, label_values
from provecfg.digest import digest_of
from provecfg.errors import ProvecfgError
from provecfg.files import open_regular

_COLOURS = 1 << 24
_UNMAPPED = MOST_CLASSES  # in a table of bytes: no class, since a dataset has at most that many
_SHOWN = 5
UNREADABLE: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What PIL raises of a picture that it cannot decode, by format."""

Image.preinit()  # else a thread would import the decoders


class LabelError(ProvecfgError):
    """A label map that cannot be what its dataset says it is."""


def read_pixels(path: Path) -> np.ndarray:
    """The pixels of a label map as the file has them: (H, W) or (H, W, C), of a palette image the indices.

    Raises:
        LabelError: It cannot be read or decoded; names the file.
    """
    try:
        with open_regular(path) as stream, Image.open(stream) as image:
            return np.asarray(image)
    except UNREADABLE as error:
        raise LabelError(f"label map {str(path)!r} cannot be decoded: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What an exception says, on one line."""
    if isinstance(error, UnidentifiedImageError):  # which names the stream, and where that is in memory
        return "no image of a known format"
    return str(error).partition("\n")[0] or type(error).__name__


class LabelDecoder:
    """Turns the pixels of a file into classes.

    Args:
        encoding: Of `catalog.encodings.ENCODINGS`.
        classes: How many the dataset has, at most `MOST_CLASSES`.
        mapping: What each value, or colour as `#rrggbb`, means: a class or 255; None for the encoding's own meaning.
        channel_order: Of colours in the files, `rgb` or `bgr`.

    Raises:
        LabelError: Too many classes, a value that maps to none of them, or a key that is no value of this encoding.
    """

    def __init__(
        self,
        encoding: str,
        classes: int,
        mapping: Mapping[int | str, int] | None = None,
        channel_order: str = "rgb",
    ) -> None:
        if classes > MOST_CLASSES:
            raise LabelError(
                f"{classes} classes: label maps in training are bytes, of which {MOST_CLASSES} are classes"
            )
        self.encoding, self.classes, self.channel_order = encoding, classes, channel_order
        self.values = dict(label_values(encoding, classes, mapping))
        beyond = [value for value, label in self.values.items() if label != IGNORED and not 0 <= label < classes]
        if beyond:
            label = self.values[beyond[0]]
            raise LabelError(f"value {beyond[0]} is mapped to {label}; classes are 0 to {classes - 1}")
        codes = {self._code(value): label for value, label in self.values.items()}
        size = _COLOURS if self.has_colours else 1 << 16
        # 254 marks what has no meaning
        self._table = np.full(size, _UNMAPPED, np.uint8)
        self._table[list(codes)] = list(codes.values())

    @property
    def has_colours(self) -> bool:
        return self.encoding == "rgb"

    @cached_property
    def digest(self) -> str:
        """Of what values mean: two decoders that make the same of every file may share what they made."""
        meaning = [self.encoding, self.channel_order if self.has_colours else "", sorted(self.values.items(), key=str)]
        return digest_of(meaning)

    def _code(self, value: int | str) -> int:
        """The number that a value has in the table."""
        if self.has_colours:
            try:
                code = int(str(value).removeprefix("#"), 16)
            except ValueError:
                raise LabelError(f"{value!r} is no colour such as '#8000ff'") from None
            return code if len(str(value)) == 7 and 0 <= code < _COLOURS else self._refuse(value)
        return value if isinstance(value, int) and 0 <= value <= LARGEST_VALUE else self._refuse(value)

    def _refuse(self, value: int | str) -> int:
        what = "colour such as '#8000ff'" if self.has_colours else f"number of 0 to {LARGEST_VALUE}"
        raise LabelError(f"{value!r} is no {what}")

    def codes(self, pixels: np.ndarray) -> np.ndarray:
        """One number for each pixel, (H, W) of whole numbers: the value, or 65536 red + 256 green + blue.

        Raises:
            LabelError: There are not as many channels as the encoding has, or their numbers are not whole.
        """
        if pixels.dtype == bool:
            pixels = pixels.astype(np.uint8)
        if pixels.dtype.kind not in "iu":
            raise LabelError(f"holds numbers of {pixels.dtype}, and labels are whole")
        if self.has_colours:
            if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
                raise LabelError(f"has {_channels(pixels)}, and colours need three")
            return colour_codes(pixels, self.channel_order)
        if pixels.ndim == 3:
            if self.encoding != "repeated" or pixels.shape[2] not in (3, 4):
                raise LabelError(f"has {_channels(pixels)}, and {self.encoding} is one")
            first = pixels[:, :, 0]
            if not ((first == pixels[:, :, 1]).all() and (first == pixels[:, :, 2]).all()):
                raise LabelError("has three channels that are not equal")
            return np.ascontiguousarray(first)
        return pixels

    def decode(self, pixels: np.ndarray) -> np.ndarray:
        """The classes, (H, W) uint8, 255 where nothing is labelled.

        Raises:
            LabelError: See `codes`; or a value has no meaning.
        """
        codes = self.codes(pixels)
        low, high = (int(codes.min()), int(codes.max())) if codes.size else (0, 0)
        if low < 0 or high >= len(self._table):
            raise self._unmapped(np.array([low if low < 0 else high]))
        labels = self._table[codes]
        without = labels == _UNMAPPED
        if without.any():
            raise self._unmapped(np.unique(codes[without]))
        return labels

    def _unmapped(self, codes: np.ndarray) -> LabelError:
        values = [self.shown(int(code)) for code in codes[:_SHOWN]]
        more = f" and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else ""
        hint = "give each value a class in the dataset's mapping, or `ignore`"
        return LabelError(f"holds {', '.join(values)}{more}, which the mapping gives no class", hint=hint)

    def read(self, path: Path) -> np.ndarray:
        """The classes of a file, (H, W) uint8.

        Raises:
            LabelError: See `decode` and `read_pixels`; names the file.
        """
        pixels = read_pixels(path)
        try:
            return self.decode(pixels)
        except LabelError as error:
            raise LabelError(f"label map {str(path)!r} {error.message}", hint=error.hint) from error

    def shown(self, code: int) -> str:
        """A number of `codes` as a user writes it."""
        return f"#{code:06x}" if self.has_colours else str(code)

    def meaning(self, code: int) -> int | None:
        """The class of a number of `codes`, 255 for ignored, None for none."""
        label = int(self._table[code]) if 0 <= code < len(self._table) else _UNMAPPED
        return None if label == _UNMAPPED else label

    def encode(self, labels: np.ndarray) -> Any:
        """A label map as a file of this encoding: a PIL image.

        Args:
            labels: (H, W) of classes, and 255 for what is ignored; where no value is ignored, class 0 is in its place.
        """
        first: dict[int, int] = {}
        for value, label in self.values.items():
            first.setdefault(label, self._code(value))
        table = np.zeros(256, np.int64)
        for label in range(self.classes):
            table[label] = first.get(label, first.get(0, 0))
        table[IGNORED] = first.get(IGNORED, table[0])
        codes = table[labels]
        if self.has_colours:
            channels = [codes >> 16, codes >> 8 & 255, codes & 255]
            stacked = np.stack(channels if self.channel_order == "rgb" else channels[::-1], axis=-1)
            return Image.fromarray(stacked.astype(np.uint8))
        if self.encoding == "repeated":
            return Image.fromarray(np.repeat(codes.astype(np.uint8)[:, :, None], 3, axis=2))
        image = Image.fromarray(codes.astype(np.uint16 if codes.max(initial=0) > 255 else np.uint8))
        if self.encoding == "palette":
            image = image.convert("L")
            image.putpalette([value * 37 % 256 for value in range(768)])
        return image


def colour_codes(pixels: np.ndarray, channel_order: str) -> np.ndarray:
    """65536 red + 256 green + blue of (H, W, 3) or (H, W, 4) pixels of bytes: (H, W) int32."""
    first, second, third = (pixels[:, :, channel].astype(np.int32) for channel in range(3))
    if channel_order == "bgr":
        first, third = third, first
    return (first << 16) | (second << 8) | third


def swapped(colour: int) -> int:
    """65536 red + 256 green + blue with red and blue exchanged."""
    return (colour & 255) << 16 | colour & 0xFF00 | colour >> 16


def _channels(pixels: np.ndarray) -> str:
    return f"{1 if pixels.ndim == 2 else pixels.shape[2]} channel{'s' * (pixels.ndim > 2)}"
