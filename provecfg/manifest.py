"""Generated training images, as a manifest lists them: which image each was made of, whose label map it has."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from provecfg.errors import ProvecfgError
from provecfg.files import MAX_RECORD_BYTES, read_text
from provecfg.spelling import first_few

COLUMNS: Final = ("gen_path", "original_path", "dataset")
"""Columns that are read; PROVE's manifests have `name`, `domain` and `target_domain` beside them."""


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest, by column.

    Raises:
        ProvecfgError: It cannot be read, is empty, or lacks a column or a value; names the line.
    """
    try:
        text = read_text(path, max_bytes=MAX_RECORD_BYTES)
        lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        header = lines.fieldnames or ()
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise ProvecfgError(
                f"manifest {str(path)!r} has no column {missing[0]!r}", hint=f"it has {first_few(list(header), 8)}"
            )
        rows = list(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ProvecfgError(f"manifest {str(path)!r} cannot be read: {reason}") from error
    if not rows:
        raise ProvecfgError(f"manifest {str(path)!r} lists no image")
    for number, row in enumerate(rows, 2):
        empty = [column for column in COLUMNS if not row.get(column)]
        if empty:
            raise ProvecfgError(f"manifest {str(path)!r}, image {number - 1}: {empty[0]!r} is empty")
    return rows


def generated_images(path: Path, datasets: Sequence[str], labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each generated image with its label map: that of the image which it was made of.

    Images of other datasets are left out, and so are those that were made of images which are not trained on: a picture
    of the validation's in another weather is a picture of the validation's.

    Args:
        path: The manifest; a relative `gen_path` is below its folder.
        datasets: Names of the dataset, one of which its column `dataset` has, whatever their case and punctuation.
        labels: Image, by its path below the data root, to its label map.

    Raises:
        ProvecfgError: As `rows_of`; or none is left; says what the manifest has.
    """
    rows, known = rows_of(path), {_plain(name) for name in datasets}
    own = [row for row in rows if _plain(row["dataset"]) in known]
    if not own:
        counts = Counter(row["dataset"] for row in rows)
        held = first_few([f"{count} of {name}" for name, count in counts.most_common()], 5)
        raise ProvecfgError(
            f"manifest {str(path)!r} has no image of {datasets[0]!r}",
            hint=f"it has {held}; `title` of a dataset's entry is a name that is looked for, too",
        )
    folder = Path(os.path.abspath(path)).parent
    originals = _Originals(labels)
    none_left = True
    for row in own:
        image = originals.image(row["original_path"])
        if image is not None:
            none_left = False
            yield str(folder / row["gen_path"]), labels[image]
    if none_left:
        raise ProvecfgError(
            f"of {len(own)} images of {datasets[0]!r} in manifest {str(path)!r} none was made of a training image",
            hint=f"they were made of such as {own[0]['original_path']}, and training images are such as "
            f"{first_few(list(labels), 1)}",
        )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


class _Originals:
    """Images by any ending of their paths that whole folders make up: a manifest may come from another machine."""

    def __init__(self, images: Mapping[str, str]) -> None:
        self._images = images
        self._by_name: dict[str, list[str]] = {}
        for image in images:
            self._by_name.setdefault(image.rpartition("/")[2], []).append(image)

    def image(self, path: str) -> str | None:
        """The one image that a path means: one of the two paths ends in the other."""
        path = path.replace("\\", "/").removeprefix("./")
        ends = [
            image
            for image in self._by_name.get(path.rpartition("/")[2], ())
            if f"/{path}".endswith(f"/{image}") or f"/{image}".endswith(f"/{path}")
        ]
        return ends[0] if len(ends) == 1 else None
