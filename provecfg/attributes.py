"""What a table says of images: weather, city, time of day."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from provecfg.errors import ProvecfgError
from provecfg.files import MAX_RECORD_BYTES, read_text

_IMAGE: Final = "image"

Attributes = Mapping[str, Mapping[str, str]]
"""Attribute -> name of an image without its ending -> value."""


def read_attributes(path: Path) -> Attributes:
    """What a table says of images.

    Args:
        path: CSV, with a column `image` (a file's name or path, its ending left out or not) and one for each attribute.

    Raises:
        ProvecfgError: It cannot be read, or has no such column.
    """
    try:
        text = read_text(path, max_bytes=MAX_RECORD_BYTES).removeprefix("\ufeff")  # spreadsheets write it
        reader = csv.DictReader(io.StringIO(text), strict=True)
        rows, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProvecfgError(f"{path} cannot be read as CSV: {error}") from error
    if _IMAGE not in columns or len(columns) < 2:
        raise ProvecfgError(
            f"{path} has the columns {', '.join(map(repr, columns)) or 'of no table'}",
            hint=f"wanted: a column {_IMAGE!r}, and one for each attribute, such as 'weather'",
        )
    return {
        column: {_stem(row[_IMAGE]): row[column] for row in rows if row[_IMAGE] and row[column]}
        for column in columns
        if column != _IMAGE
    }


def attribute_of(name: str, values: Mapping[str, str]) -> str | None:
    """The value of an image: by its path without the ending, or else by its name alone; None where the table has none.

    Args:
        name: The image's path.
        values: Of one attribute.
    """
    stem = _stem(name)
    return values.get(stem) or values.get(PurePosixPath(stem).name)


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).with_suffix("").as_posix()
