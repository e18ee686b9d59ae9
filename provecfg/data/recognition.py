"""What a folder of images and label maps is: pairs, splits, encoding and classes, each with its evidence.

Nothing is asked and nothing guessed silently: what was recognised is said with what it was recognised by, and written
where a person reads it and can change it.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.catalog.encodings import IGNORED, LARGEST_VALUE, MOST_CLASSES
from provecfg.data.encodings import swapped
from provecfg.data.observations import looks_like_label_ids
from provecfg.data.records import LabelRecord, label_records, summed
from provecfg.errors import ProvecfgError
from provecfg.spelling import first_few

_IMAGES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_LABELS: Final = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
_SPLIT_WORDS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_LABEL_WORDS: Final = frozenset(
    {
        "label",
        "labels",
        "mask",
        "masks",
        "annotation",
        "annotations",
        "ann",
        "anns",
        "gt",
        "gtfine",
        "seg",
        "sem",
        "segmentation",
    }
    | {"segmentationclass", "groundtruth", "labeltrainids", "trainids", "labelids", "semantic"}
)
_SHARE: Final = 0.8  # of the images that train, where the folder has no splits
_OF_ENCODING: Final = ("encoding", "channel_order", "ignore")


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one folder pattern: they differ in one part of their names, and in what splits and folders are called.

    Args:
        folder: With `{split}` in place of the name of a split, and `**/` for further folders, "/" at its end.
        suffix: What their names end in alike, with the ending.
        stems: Split, or "", to the stems below, folders included.
    """

    folder: str
    suffix: str
    stems: Mapping[str, frozenset[str]]

    @property
    def ending(self) -> str:
        """The ending of their names, in lower case."""
        return "." + self.suffix.rpartition(".")[2].lower()

    def pattern(self, split_name: str) -> str:
        """The pattern of the files of a split, by the folder's own name for it."""
        return self.folder.replace("{split}", split_name) + "*" + self.suffix


@dataclass(slots=True)
class Recognised:
    """What a folder was recognised as.

    Args:
        entry: A dataset's entry of a study, as YAML holds it.
        evidence: Field of the entry to what it was recognised by.
        catalog: Name of the catalog's dataset whose layout it has, or "".
    """

    entry: dict[str, Any]
    evidence: dict[str, list[str]] = field(default_factory=dict)
    catalog: str = ""

    def because(self, name: str, *reasons: str) -> None:
        """Add evidence for a field."""
        self.evidence.setdefault(name, []).extend(reasons)


def recognised(root: Path, name: str, *, shows_progress: bool = False) -> Recognised:
    """Recognise a folder. Every label map is read; the records are kept in the cache, for what counts them next.

    Args:
        root: The folder.
        name: What the dataset is called.
        shows_progress: Whether there is a bar on standard error.

    Raises:
        ProvecfgError: There are no images, or no label maps that belong to them; says what is there.
    """
    if not root.is_dir():
        raise ProvecfgError(f"{root} is no folder")
    known = _in_catalog(root)
    if known is not None:
        return _recognised_in_catalog(root, name, known, shows_progress)
    images, labels = _paired_groups(root, list(_files(root)))
    result = Recognised({"name": name, "root": str(root)})
    _recognise_splits(result, images, labels)
    paths = [
        labels.pattern(split).replace("**/", "").replace("*", stem)
        for split, stems in labels.stems.items()
        for stem in sorted(stems & images.stems.get(split, frozenset()))
    ]
    recognise_labels(result, list(_readable(root, paths, shows_progress)))
    return result


def _recognised_in_catalog(root: Path, name: str, known: Dataset, shows_progress: bool) -> Recognised:
    """A folder with the layout of a dataset of the catalog, whose label maps may be encoded otherwise all the same."""
    result = Recognised({"name": name, "base": known.name, "root": str(root)}, catalog=known.name)
    result.because("base", f"its files lie where {known.title}'s do: {known.train.images}")
    if known.trap:
        result.because("base", f"mind: {known.trap}")
    pairs = [pair for split in known.splits.values() for pair in known.selection(split).pairs(root)]
    paths = [pair.label for pair in pairs if (root / pair.label).is_file()]
    labels = Recognised({})
    recognise_labels(labels, list(_readable(root, paths, shows_progress)))
    encoding = labels.entry["encoding"]
    if encoding in ("ids", "palette", known.encoding):
        if LARGEST_VALUE in labels.entry.get("ignore", ()):
            result.entry["ignore"] = labels.entry["ignore"]
            result.because("ignore", *labels.evidence["ignore"])
        return result
    result.entry.update((key, labels.entry[key]) for key in _OF_ENCODING if key in labels.entry)
    if tuple(labels.entry.get("classes", known.classes)) != known.classes and encoding != "repeated":
        del result.entry["base"]
        result.catalog = ""
        result.evidence.pop("base")
        result.entry |= labels.entry
        for split_name, split in known.as_paired().splits.items():
            result.entry[split_name] = {"images": split.images, "labels": split.labels}
            result.because(split_name, f"where {known.title} has it")
    for key, reasons in labels.evidence.items():
        if key in result.entry:
            result.because(key, *reasons)
    return result


def _readable(root: Path, paths: Sequence[str], shows_progress: bool) -> Iterator[LabelRecord]:
    records = label_records(root, paths, shows_progress=shows_progress)
    return (record for record in records.values() if not record.problem)


def _files(root: Path) -> Iterator[str]:
    start = len(str(root)) + 1
    for parent, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in _IMAGES:
                yield f"{parent}/{name}"[start:]


def _in_catalog(root: Path) -> Dataset | None:
    """The catalog's dataset whose training images and label maps are both found, where it is one alone."""
    fitting = [dataset for dataset in DATASETS.values() if _has_layout(root, dataset)]
    return fitting[0] if len({(dataset.train, dataset.classes) for dataset in fitting}) == 1 else None


def _has_layout(root: Path, dataset: Dataset) -> bool:
    if len(dataset.train.images.split("/") if dataset.train.images else ()) < 3:
        return False  # images/training is anybody's
    for split in (dataset.train, dataset.val):
        try:
            pairs = dataset.selection(split).pairs(root)
        except ProvecfgError:
            return False
        if not any((root / pair.label).is_file() for pair in pairs[:5]):
            return False
    return True


def _groups(files: Sequence[str]) -> list[Group]:
    """Files by folder and common ending of their names."""
    by_place: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for path in files:
        folder, _, name = path.rpartition("/")
        parts = folder.split("/") if folder else []
        split = next((part for part in parts if part.lower() in _SPLIT_WORDS), "")
        place = "/".join("{split}" if part == split and split else part for part in parts)
        by_place[place, os.path.splitext(name)[1]].append((split, name))
    groups = []
    for (place, ending), members in by_place.items():
        for suffix, chosen in _by_suffix(members, ending).items():
            stems: dict[str, set[str]] = defaultdict(set)
            for split, name in chosen:
                stems[split].add(name.removesuffix(suffix))
            groups.append(Group(f"{place}/" if place else "", suffix, {s: frozenset(v) for s, v in stems.items()}))
    return groups


def _by_suffix(members: Sequence[tuple[str, str]], ending: str) -> dict[str, list[tuple[str, str]]]:
    """Files of one folder by what their names end in: `_mask.png` and `.png` of the same folder are two kinds."""
    tails = Counter(
        match[0] for _, name in members if (match := re.search(r"[_.-][A-Za-z][A-Za-z_]*$", name[: -len(ending)]))
    )
    kinds = [tail for tail, count in tails.items() if count >= max(2, len(members) // 4)]
    by_suffix: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for split, name in members:
        stem = name[: len(name) - len(ending)]
        tail = next((kind for kind in sorted(kinds, key=len, reverse=True) if stem.endswith(kind)), "")
        by_suffix[tail + ending].append((split, name))
    return by_suffix


def _merged(groups: Sequence[Group]) -> list[Group]:
    """Groups of sibling folders as one with `**/`: a folder for each city, scene or class of weather."""
    by_top: dict[tuple[str, str], list[Group]] = defaultdict(list)
    for group in groups:
        parts = group.folder.rstrip("/").split("/")
        depth = parts.index("{split}") + 1 if "{split}" in parts else 1
        by_top["/".join(parts[:depth]), group.suffix].append(group)
    merged = []
    for (top, suffix), members in by_top.items():
        if len(members) == 1:
            merged.append(members[0])
            continue
        stems: dict[str, set[str]] = defaultdict(set)
        for group in members:
            below = group.folder[len(top) + 1 :] if top else group.folder
            for split, names in group.stems.items():
                stems[split] |= {below + name for name in names}
        merged.append(Group(f"{top}/**/" if top else "**/", suffix, {s: frozenset(v) for s, v in stems.items()}))
    return merged


def _paired_groups(root: Path, files: Sequence[str]) -> tuple[Group, Group]:
    """The images and the label maps that belong together: of all pairs of groups the one that shares most stems."""
    single = _groups(files)
    candidates: list[tuple[tuple[int, int, int], Group, Group]] = []
    for groups in (single, _merged(single)):
        for images in groups:
            for labels in groups:
                if images is labels or labels.ending not in _LABELS:
                    continue
                shared = sum(len(images.stems[s] & labels.stems.get(s, frozenset())) for s in images.stems)
                words = set(re.split(r"[^a-z0-9]+", f"{labels.folder}{labels.suffix}".lower()))
                others = set(re.split(r"[^a-z0-9]+", f"{images.folder}{images.suffix}".lower()))
                likely = len(words & _LABEL_WORDS) - len(others & _LABEL_WORDS)
                is_photo = int(images.ending in (".jpg", ".jpeg"))
                if shared and (likely > 0 or is_photo):
                    candidates.append(((shared, _rank(labels), likely + is_photo), images, labels))
    if not candidates:
        kinds = Counter(os.path.splitext(path)[1].lower() for path in files)
        there = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4)) or "no images"
        raise ProvecfgError(
            f"{root}: no images with label maps of the same names were found; there are {there}",
            hint="label maps are looked for by name (images/a.jpg, masks/a.png or a_mask.png); say by hand in a study "
            "where they are: datasets: [{name: ..., train: {images: ..., labels: ...}}]",
        )
    best = max(candidates, key=lambda item: item[0])
    return best[1], best[2]


def _rank(labels: Group) -> int:
    """Of several kinds of label maps: train ids before others, colours last."""
    text = f"{labels.folder}{labels.suffix}".lower()
    return 2 if "trainid" in text else 0 if "color" in text or "colour" in text else 1


def _recognise_splits(result: Recognised, images: Group, labels: Group) -> None:
    own = {_SPLIT_WORDS[split.lower()]: split for split in images.stems if split}
    entry = result.entry
    counts = {split: len(stems) for split, stems in images.stems.items()}
    if "train" in own and len(own) > 1:
        if "val" not in own:
            own["val"] = own.pop("test")
            result.because("val", f"there is no folder of validation: {own['val']!r} stands for it")
        for name in ("train", "val", "test"):
            if name in own:
                split = own[name]
                entry[name] = {"images": images.pattern(split), "labels": labels.pattern(split)}
                without = len(images.stems[split] - labels.stems.get(split, frozenset()))
                paired = f"{counts[split]} images" + (f", {without} of them without a label map" if without else "")
                result.because(name, paired)
        return
    split = own.get("train", next(iter(images.stems)))
    entry["train"] = {"images": images.pattern(split), "labels": labels.pattern(split), "fraction": _SHARE, "seed": 0}
    where = f"in {split!r}, and no folder to validate on" if split else "in no folder of a split"
    result.because("train", f"{counts[split]} images {where}: {_SHARE:.0%} of them, drawn by chance")
    others = [other or "what is in no folder" for other in images.stems if other != split]
    if others:
        result.because("train", f"left out: {first_few(others)}")
    scenes = _scenes(images.stems[split])
    if scenes:
        entry["train"]["group"] = scenes[0]
        result.because("train", f"{scenes[1]} scenes by the beginnings of the names, each in one split alone")
    entry["val"] = {}
    result.because("val", "the rest")


def _scenes(stems: frozenset[str]) -> tuple[str, int] | None:
    """The pattern of the scene that a frame is of, and how many there are, where names are a scene and a number."""
    for separator in ("_", "-"):
        matches = [re.fullmatch(rf"(.+){separator}(\D?\d+)", stem.rpartition("/")[2]) for stem in stems]
        if all(matches):
            scenes = {match[1] for match in matches if match}
            if 5 <= len(scenes) <= len(stems) // 2:
                return f"{{scene}}{separator}*", len(scenes)
    return None


def recognise_labels(result: Recognised, records: Sequence[LabelRecord]) -> None:
    """Recognise encoding and classes by label maps.

    Args:
        result: Takes `encoding`, `classes`, and what they need, with the evidence.
        records: Of the label maps that can be decoded.

    Raises:
        ProvecfgError: They hold what no encoding does.
    """
    if not records:
        raise ProvecfgError("none of the label maps can be decoded", hint="look at one with an image viewer")
    values = summed(record.counts for record in records)
    coloured = [record for record in records if not record.is_grey]
    if coloured:
        _recognise_colours(result, records, coloured)
        return
    repeated = [record for record in records if record.channels > 1]
    encoding = "repeated" if repeated else "palette" if all(record.is_palette for record in records) else "ids"
    if repeated:
        result.because("encoding", f"{len(repeated)} of {len(records)} label maps have equal channels")
    elif encoding == "palette":
        result.because("encoding", "label maps are PNGs with a palette: its indices are the labels")
    ignored = {IGNORED, LARGEST_VALUE} & set(values)
    own = set(values) - ignored
    if looks_like_label_ids(set(values)):
        encoding = "cityscapes_label_ids"
        result.because("encoding", f"values {_shown(values)} are ids of Cityscapes' 34 labels, of which 19 are trained")
        result.entry["encoding"] = encoding
        return
    if set(values) == {0, 255} and encoding != "repeated":
        result.entry |= {"encoding": "binary_255", "classes": ["background", "foreground"]}
        result.because("encoding", "label maps hold 0 and 255 alone: two classes, 255 being the second")
        result.because("classes", "names are made up: say what 255 stands for")
        return
    result.entry["encoding"] = encoding
    if set(values) == {0, LARGEST_VALUE}:
        result.entry["classes"] = ["background", "foreground"]
        result.entry["mapping"] = {"0": "background", str(LARGEST_VALUE): "foreground"}
        result.because("encoding", f"label maps hold 0 and {LARGEST_VALUE}, the largest number of 16 bits, alone")
        result.because("classes", f"names are made up: say what {LARGEST_VALUE} stands for")
        return
    if max(own, default=0) > MOST_CLASSES or len(own) > MOST_CLASSES or not own:
        raise ProvecfgError(
            f"label maps hold {len(own)} values up to {max(own, default=0)}, no class numbers: {_shown(values)}",
            hint="ids of instances are many to a class: a study maps them by `mapping`; photographs are no label maps",
        )
    if own == {0}:
        raise _of_one_class(_shown(values))
    _recognise_classes(result, own, ignored, values)
    if LARGEST_VALUE in ignored:
        result.entry["ignore"] = sorted(ignored)
        result.because("ignore", f"{LARGEST_VALUE}, the largest number of 16 bits, is taken for what nobody labelled")


def _of_one_class(values: str) -> ProvecfgError:
    return ProvecfgError(
        f"label maps hold one class and nothing else: {values}",
        hint="a dataset has two classes at least; say by hand in a study what they are",
    )


def _recognise_classes(result: Recognised, own: set[int], ignored: set[int], values: Mapping[int, int]) -> None:
    highest = max(own)
    result.because("encoding", f"values {_shown(values)}")
    street = DATASETS["cityscapes"].classes
    if highest <= len(street) - 1 and (ignored or highest == len(street) - 1) and highest >= 5:
        result.entry["classes"] = list(street)
        no_class = max(ignored, default=IGNORED)
        result.because(
            "classes", f"values up to {highest} and {no_class} for ignored are as of Cityscapes' 19 train ids"
        )
        if highest < len(street) - 1:
            result.because("classes", "if they are others, name yours")
        return
    result.entry["classes"] = [f"class_{value}" for value in range(highest + 1)]
    result.because("classes", f"names are made up, one for each value up to {highest}: name them")
    absent = [value for value in range(highest + 1) if value not in own]
    if absent:
        result.because("classes", f"no label map holds {first_few([str(value) for value in absent], 8)}")


def _recognise_colours(result: Recognised, records: Sequence[LabelRecord], coloured: Sequence[LabelRecord]) -> None:
    if any(not record.is_complete for record in coloured):
        most = max(record.distinct for record in coloured)
        raise ProvecfgError(
            f"label maps hold up to {most} colours, and classes are few: they are photographs, or were saved as JPEG",
            hint="label maps have to be saved without loss: PNG",
        )
    colours: Counter[int] = Counter()
    for record in records:
        for value, pixels in record.counts.items():
            colours[value * 0x010101 if record.is_grey else value] += pixels
    result.entry["encoding"] = "rgb"
    result.because("encoding", f"{len(coloured)} of {len(records)} label maps have channels that differ")
    known = _known_palette(set(colours))
    if known is None:
        names = {colour: f"colour_{colour:06x}" for colour in sorted(colours)}
        if len(names) == 1:
            raise _of_one_class(*(f"#{colour:06x}" for colour in names))
        if len(names) > MOST_CLASSES:
            raise ProvecfgError(f"label maps hold {len(names)} colours; a study has at most {MOST_CLASSES} classes")
        result.entry["classes"] = list(names.values())
        result.entry["palette"] = {name: _channels(colour) for colour, name in names.items()}
        result.because("classes", "no known palette has these colours: names are the colours, name them")
        return
    dataset, order, matched = known
    assert dataset.palette is not None
    result.entry["channel_order"] = order
    result.entry["classes"] = list(dataset.classes)
    result.entry["palette"] = dict(zip(dataset.classes, map(list, dataset.palette), strict=True))
    share = f"{len(matched)} of {len(colours)} colours are {dataset.title}'s"
    result.because("classes", f"{share}, read as {order}")
    rest = sorted(set(colours) - matched)
    if rest:
        in_order = [swapped(colour) if order == "bgr" else colour for colour in rest]
        result.entry["ignore"] = [f"#{colour:06x}" for colour in in_order]
        result.because("ignore", f"colours of no class: {first_few(result.entry['ignore'], 6)}")


def _known_palette(colours: set[int]) -> tuple[Dataset, str, set[int]] | None:
    """The catalog's dataset whose palette has most of the colours, in which order, and which of them it has.

    A palette fits where it has all but one of the colours (black, for what is not labelled), at least two of them. Both
    orders are tried: the wrong one keeps only colours with as much red as blue.
    """
    best: tuple[int, int, Dataset, str, set[int]] | None = None
    for dataset in DATASETS.values():
        if dataset.palette is None or len(set(dataset.palette)) < len(dataset.palette):
            continue
        codes = {red << 16 | green << 8 | blue for red, green, blue in dataset.palette}
        for order in ("rgb", "bgr"):
            matched = {colour for colour in colours if (swapped(colour) if order == "bgr" else colour) in codes}
            if len(matched) < 2 or len(colours - matched) > 1:
                continue
            # black is of no class in most palettes, and a class of its own in few
            score = (len(matched - {0}), -len(codes))
            if best is None or score > best[:2]:
                best = (*score, dataset, order, matched)
    return None if best is None else best[2:]


def _channels(colour: int) -> list[int]:
    return [colour >> 16, colour >> 8 & 255, colour & 255]


def _shown(values: Mapping[int, int]) -> str:
    total = sum(values.values())
    listed = [f"{value} ({pixels / total:.1%})" for value, pixels in values.items()]
    return first_few(listed, 12)
