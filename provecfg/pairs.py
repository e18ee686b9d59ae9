"""The images of a split, and the label map of each: by patterns, by a list, or as a share of all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provecfg import spelling
from provecfg.attributes import attribute_of, read_attributes
from provecfg.errors import ProvecfgError
from provecfg.files import MAX_RECORD_BYTES, read_text
from provecfg.manifest import generated_images
from provecfg.patterns import Pattern, filling_problem

_SHOWN = 5  # names that a message lists


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its label map.

    Args:
        image, label: Paths below the root, with "/", or whole ones; the label map need not be there.
        key: What tells the image from others, see `patterns.Match.key`.
    """

    image: str
    label: str
    key: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which pairs a split has.

    Args:
        images, labels: Patterns; None where `files` names both.
        files: A list below the root: a line names an image by path or key, or an image and its label map.
        only: Pattern of the images that are kept, of their name where it has no folder.
        share: Beginning and end of the split in all pairs, each in [0, 1], where these are put in an order by chance.
        share_seed: Decides the order.
        group: Pattern whose fields say which images belong together; a group is in one split.
        manifest: List of images that were generated of these, which stand in their place; see `manifest`.
        generated_of: Names that the manifest may have for the dataset.
    """

    images: str | None = None
    labels: str | None = None
    files: str | None = None
    only: str | None = None
    share: tuple[float, float] | None = None
    share_seed: int = 0
    group: str | None = None
    manifest: str | None = None
    generated_of: tuple[str, ...] = ()

    def pairs(self, root: Path) -> list[Pair]:
        """The pairs, in the order of the images' names; in that of the list, where there is one.

        Raises:
            ProvecfgError: The root is not there, a pattern matches nothing, a list names what is not there, an image
                belongs to no group; says what is there instead.
        """
        if not root.is_dir():
            raise ProvecfgError(f"data root {str(root)!r} does not exist")
        if self.images is None or self.labels is None:
            pairs = [_listed_pair(root, number, line) for number, line in self._lines(root)]
        else:
            pairs = _paired(root, Pattern(self.images), Pattern(self.labels))
            if self.files is not None:
                pairs = _chosen(pairs, root / self.files, self._lines(root))
        if self.only is not None:
            kept = Pattern(self.only)
            before, pairs = pairs, [pair for pair in pairs if kept.match_name(pair.image) is not None]
            if not pairs:
                raise ProvecfgError(f"none of {len(before)} images matches {self.only!r}", hint=_such_as(before))
        if self.share is not None:
            pairs = _shared(pairs, self.share, self.share_seed, self.group)
        if self.manifest is not None:
            labels = {pair.image: pair.label for pair in pairs}
            generated = generated_images(Path(self.manifest), self.generated_of, labels)
            pairs = [Pair(image, label, _stem(image)) for image, label in generated]
        return pairs

    def _lines(self, root: Path) -> list[tuple[int, str]]:
        if self.files is None:
            raise ProvecfgError("a split names neither images and labels nor a list of files")
        path = root / self.files
        try:
            text = read_text(path, max_bytes=MAX_RECORD_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ProvecfgError(f"list of files {str(path)!r} cannot be read: {reason}") from error
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not lines:
            raise ProvecfgError(f"list of files {str(path)!r} is empty")
        return lines


def _paired(root: Path, images: Pattern, labels: Pattern) -> list[Pair]:
    problem = filling_problem(images, labels)
    if problem is not None:
        raise ProvecfgError(problem)
    pairs = [Pair(path, labels.fill(match), match.key) for path, match in images.files(root)]
    if not pairs:
        raise ProvecfgError(
            f"no image matches {images.text!r} in {str(root)!r}", hint=what_is_there(root, images.folder)
        )
    return pairs


def what_is_there(root: Path, folder: str = "") -> str:
    """What a folder below a root, or the nearest one above that exists, holds."""
    path = root / folder
    nearest = next((candidate for candidate in (path, *path.parents) if candidate.is_dir()), root)
    names = sorted(entry.name + "/" * entry.is_dir() for entry in nearest.iterdir())
    return f"{str(nearest)!r} holds {spelling.first_few(names, _SHOWN) or 'nothing'}"


def _listed_pair(root: Path, number: int, line: str) -> Pair:
    columns = _columns(line)
    if len(columns) != 2:
        raise ProvecfgError(
            f"line {number} of the list of files has {len(columns)} names: {line!r}",
            hint="a line is an image and its label map, or name the patterns `images` and `labels` beside the list",
        )
    image, label = columns
    return Pair(image, label, _stem(image))


def _columns(line: str) -> list[str]:
    for separator in ("\t", ","):
        if separator in line:
            return [column.strip() for column in line.split(separator)]
    columns = line.split()
    return columns if len(columns) == 2 and all("." in column for column in columns) else [line]


def _chosen(pairs: Sequence[Pair], path: Path, lines: Sequence[tuple[int, str]]) -> list[Pair]:
    known: dict[str, list[Pair]] = {}
    for pair in pairs:
        names = {pair.image, pair.image.rpartition(".")[0], pair.key, _stem(pair.image), pair.image.rpartition("/")[2]}
        for name in names:
            known.setdefault(name, []).append(pair)
    # mmseg's lists name images below their folder, without the suffix
    prefix = _common_folder([pair.image for pair in pairs])
    for pair in pairs if prefix else ():
        below = pair.image.removeprefix(prefix)
        for name in {below, below.rpartition(".")[0]} - {_stem(pair.image), pair.image.rpartition("/")[2]}:
            if name != pair.key:
                known.setdefault(name, []).append(pair)
    chosen = []
    for number, line in lines:
        matches = known.get(line) or known.get(_columns(line)[0]) or []
        if len(matches) != 1:
            what = (
                "no image"
                if not matches
                else f"{len(matches)} images, such as {matches[0].image} and {matches[1].image}"
            )
            raise ProvecfgError(
                f"line {number} of {str(path)!r}, {line!r}, names {what}",
                hint=_such_as(pairs) if not matches else "name them by their paths below the root",
            )
        chosen.append(matches[0])
    return chosen


def _common_folder(paths: Sequence[str]) -> str:
    first, last = min(paths), max(paths)
    length = next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, length) + 1]


def _such_as(pairs: Sequence[Pair]) -> str:
    return f"images are such as {spelling.first_few([pair.image for pair in pairs], _SHOWN)}"


def _stem(path: str) -> str:
    return re.sub(r"\.[^.]*$", "", path.rpartition("/")[2])


def _shared(pairs: Sequence[Pair], share: tuple[float, float], seed: int, group: str | None) -> list[Pair]:
    groups: dict[str, list[Pair]] = {}
    pattern = Pattern(group) if group is not None else None
    for pair in pairs:
        groups.setdefault(pair.image if pattern is None else _group_of(pair, pattern), []).append(pair)

    def by_chance(name: str) -> str:
        return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()

    chosen, before, total = [], 0, len(pairs)
    for name in sorted(groups, key=by_chance):
        # a group is where its middle is, so that no split gets more than half a group too many
        if share[0] <= (before + len(groups[name]) / 2) / total < share[1]:
            chosen += groups[name]
        before += len(groups[name])
    if not chosen:
        raise ProvecfgError(
            f"the share from {share[0]:g} to {share[1]:g} of {total} images in {len(groups)} groups holds none",
            hint="a larger fraction, another seed, or smaller groups",
        )
    return sorted(chosen, key=lambda pair: pair.image)


def _group_of(pair: Pair, pattern: Pattern) -> str:
    match = pattern.match_name(pair.image)
    if match is None:
        raise ProvecfgError(f"image {pair.image!r} has no group: {pattern.text!r} does not match it")
    return "/".join(match.fields.values() if match.fields else match.wildcards)


class Slicing:
    """Which slice of each kind an image is in.

    Args:
        root: The data root.
        slices: Kind, such as `weather`, to a pattern of images with a field of that name, or with one field or
            wildcard; or to a table below the root, `*.csv`, whose column of that name says it of each `image`.

    Raises:
        ProvecfgError: A table cannot be read, or has no such column.
    """

    def __init__(self, root: Path, slices: Mapping[str, str]) -> None:
        self._patterns = {kind: Pattern(text) for kind, text in slices.items() if not is_table(text)}
        self._tables = {kind: _column(root / text, kind) for kind, text in slices.items() if is_table(text)}

    def of(self, pair: Pair) -> dict[str, str]:
        """Kind to slice, without the kinds that say nothing of the image."""
        named = {kind: attribute_of(pair.image, values) for kind, values in self._tables.items()}
        for kind, pattern in self._patterns.items():
            match = pattern.match_name(pair.image)
            named[kind] = None if match is None else match.fields.get(kind) or match.key
        return {kind: value for kind, value in named.items() if value is not None}


def is_table(text: str) -> bool:
    """Whether what says the slices is a table, and no pattern of images."""
    return text.lower().endswith(".csv")


def _column(path: Path, kind: str) -> Mapping[str, str]:
    attributes = read_attributes(path)
    if kind not in attributes:
        raise ProvecfgError(
            f"{path} has no column {kind!r}", hint=f"it says of images: {spelling.first_few(list(attributes), 8)}"
        )
    return attributes[kind]
