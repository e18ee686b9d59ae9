"""The fingerprint of a dataset: what its files hold, split by split, counted whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provecfg.catalog.datasets import Dataset
from provecfg.catalog.encodings import IGNORED
from provecfg.data.encodings import LabelDecoder, swapped
from provecfg.data.layouts import Layout, layout_of
from provecfg.data.recorded_fingerprint import FORMAT
from provecfg.data.records import ImageRecord, LabelRecord, image_records, label_records
from provecfg.digest import digest_of
from provecfg.errors import ProvecfgError
from provecfg.pairs import Pair, Slicing
from provecfg.paths import write_atomically

_NAMED = 20  # files of a kind that a fingerprint names; of more it says how many


@dataclass(frozen=True, slots=True)
class SplitSurvey:
    """A split with the records of its files.

    Args:
        name: `train`, `val` or `test`.
        layout: Where its files are, and what they hold.
        pairs: In their order.
        images, labels: Records by name; a label map that is not there has a record with a problem.
        without_label: Images whose label map is not there.
    """

    name: str
    layout: Layout
    pairs: tuple[Pair, ...]
    images: Mapping[str, ImageRecord]
    labels: Mapping[str, LabelRecord]
    without_label: tuple[str, ...]

    def unreadable(self) -> list[tuple[str, str]]:
        """Files that cannot be decoded, with the reason; label maps that are absent are no such."""
        absent = {pair.label for pair in self.pairs if pair.image in set(self.without_label)}
        images = [(name, record.problem) for name, record in self.images.items() if record.problem]
        labels = [(name, record.problem) for name, record in self.labels.items() if record.problem]
        return [item for item in (*images, *labels) if item[0] not in absent]

    def mismatched(self) -> list[tuple[Pair, tuple[int, int], tuple[int, int]]]:
        """Pairs whose image and label map have different sizes, with both, (width, height)."""
        sizes = (
            (pair, self.images[pair.image].size, self.labels[pair.label].size)
            for pair in self.pairs
            if not self.images[pair.image].problem and not self.labels[pair.label].problem
        )
        return [item for item in sizes if item[1] != item[2]]

    def readable(self) -> Iterator[LabelRecord]:
        """The records of label maps that can be decoded, each pair's."""
        return (record for pair in self.pairs if not (record := self.labels[pair.label]).problem)

    def values(self) -> dict[int, ValueCount]:
        """Pixels and label maps of each value, or colour, that the files hold."""
        pixels: Counter[int] = Counter()
        maps: Counter[int] = Counter()
        for record in self.readable():
            # of grey pictures one channel is recorded
            factor = 0x010101 if self.layout.encoding == "rgb" and record.is_grey else 1
            for value, count in record.counts.items():
                pixels[value * factor] += count
                maps[value * factor] += 1
        return {value: ValueCount(pixels[value], maps[value]) for value in sorted(pixels)}

    def class_pixels(self, decoder: LabelDecoder) -> dict[int | None, int]:
        """Pixels by class, 255 for ignored, None for what the mapping gives no class."""
        counted: Counter[int | None] = Counter()
        for value, count in self.values().items():
            counted[decoder.meaning(value_in_order(value, self.layout))] += count.pixels
        return dict(counted)


@dataclass(frozen=True, slots=True)
class ValueCount:
    """How often a value occurs: in how many pixels, and in how many label maps."""

    pixels: int
    maps: int


@dataclass(frozen=True, slots=True)
class Survey:
    """A dataset with the records of all its files.

    Args:
        dataset: The dataset.
        root: Its data root.
        splits: By name.
        problems: Splits whose files cannot be found, with what was said.
    """

    dataset: Dataset
    root: Path
    splits: Mapping[str, SplitSurvey]
    problems: Mapping[str, ProvecfgError]

    @property
    def decoder(self) -> LabelDecoder:
        """What reads its label maps."""
        return layout_of(self.dataset, self.dataset.train).decoder()

    def shared(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """For two splits the images that both have, by name or by content: (name in one, name in the other)."""
        shared_images: dict[tuple[str, str], list[tuple[str, str]]] = {}
        names = list(self.splits)
        for index, first in enumerate(names):
            by_digest: dict[str, str] = {}
            for name, record in self.splits[first].images.items():
                by_digest.setdefault(record.digest or name, name)
            for second in names[index + 1 :]:
                both = [
                    (by_digest[key], name)
                    for name, record in self.splits[second].images.items()
                    if (key := record.digest or name) in by_digest
                ]
                if both:
                    shared_images[first, second] = both
        return shared_images


def survey_of(
    dataset: Dataset,
    root: Path,
    *,
    processes: int | None = None,
    shows_progress: bool = False,
    splits: Sequence[str] | None = None,
) -> Survey:
    """Look at every file of a dataset. What was looked at before, and has not changed since, is not read again.

    Args:
        dataset: None that is joined of others.
        root: Its data root.
        processes: How many; as many as there are cores unless given.
        shows_progress: Whether there are bars on standard error.
        splits: Their names; all unless given.
    """
    selected: dict[str, tuple[Layout, list[Pair]]] = {}
    problems: dict[str, ProvecfgError] = {}
    for name, split in dataset.splits.items():
        if splits is not None and name not in splits:
            continue
        layout = layout_of(dataset, split)
        try:
            selected[name] = layout, layout.selection.pairs(root)
        except ProvecfgError as error:
            problems[name] = error
    every = [pair for _, pairs in selected.values() for pair in pairs]
    images = image_records(root, [p.image for p in every], processes=processes, shows_progress=shows_progress)
    labels = label_records(root, [p.label for p in every], processes=processes, shows_progress=shows_progress)
    surveyed = {
        name: SplitSurvey(
            name,
            layout,
            tuple(pairs),
            {pair.image: images[pair.image] for pair in pairs},
            {pair.label: labels[pair.label] for pair in pairs},
            tuple(pair.image for pair in pairs if not (root / pair.label).is_file()),
        )
        for name, (layout, pairs) in selected.items()
    }
    return Survey(dataset, root, surveyed, problems)


def fingerprint_of(survey: Survey) -> dict[str, Any]:
    """The fingerprint, as JSON holds it. Its `digest` is equal for equal data, wherever it lies.

    It is of the names of the files and of their bytes. What classes are called, and what values mean, is the study's to
    say and to change: the configs hold it.
    """
    dataset = survey.dataset
    decoder = survey.decoder
    splits = {name: _split_fingerprint(split, survey.root, dataset, decoder) for name, split in survey.splits.items()}
    shared = {f"{first}/{second}": len(both) for (first, second), both in survey.shared().items()}
    meaning = {
        "classes": list(dataset.classes),
        "encoding": dataset.encoding,
        "channel_order": dataset.channel_order,
        "mapping": {str(value): label for value, label in (dataset.meaning or {}).items()} or None,
    }
    digest = digest_of({name: part["files"] for name, part in splits.items()})
    return {
        "format": FORMAT,
        "dataset": dataset.name,
        "digest": digest,
        **meaning,
        "splits": splits,
        "images_in_two_splits": shared,
        "not_found": {name: error.message for name, error in survey.problems.items()},
    }


def _split_fingerprint(split: SplitSurvey, root: Path, dataset: Dataset, decoder: LabelDecoder) -> dict[str, Any]:
    images = split.images.values()
    sizes = Counter(f"{r.size[0]}x{r.size[1]}" for r in images if not r.problem)
    kinds = Counter(kind_of_label(record) for record in split.readable())
    values = split.values()
    total = sum(count.pixels for count in values.values())
    ignored = split.class_pixels(decoder).get(IGNORED, 0)
    slices: dict[str, Counter[str]] = {}
    slicing = Slicing(root, dataset.slices)
    for pair in split.pairs:
        for kind, value in slicing.of(pair).items():
            slices.setdefault(kind, Counter())[value] += 1
    return {
        "images": len(split.pairs),
        "files": _files_digest(split),
        "sizes": dict(sizes.most_common(_NAMED)),
        "image_kinds": dict(Counter(f"{r.channels} x {r.bits} bits" for r in images if not r.problem)),
        "label_kinds": dict(kinds),
        "values": {
            decoder.shown(value_in_order(value, split.layout)): {
                "class": _class_name(decoder.meaning(value_in_order(value, split.layout)), dataset),
                "share": round(count.pixels / total, 6),
                "pixels": count.pixels,
                "label_maps": count.maps,
            }
            for value, count in values.items()
        },
        "ignored_share": round(ignored / total, 6) if total else 0.0,
        "without_label_map": _named(split.without_label),
        "unreadable": _named([f"{name}: {reason}" for name, reason in split.unreadable()]),
        "sizes_differ": _named([pair.image for pair, _, _ in split.mismatched()]),
        "slices": {kind: dict(sorted(counts.items())) for kind, counts in slices.items()},
    }


def value_in_order(value: int, layout: Layout) -> int:
    """A recorded value as the decoder numbers it: colours are recorded as red, green, blue."""
    if layout.encoding != "rgb" or layout.channel_order == "rgb":
        return value
    return swapped(value)


def _class_name(label: int | None, dataset: Dataset) -> str | None:
    if label is None:
        return None
    return "ignored" if label == IGNORED else dataset.classes[label]


def kind_of_label(record: LabelRecord) -> str:
    """What a label map is made of, in words."""
    if record.channels == 1:
        return f"indices of a palette, {record.bits} bits" if record.is_palette else f"1 channel of {record.bits} bits"
    return f"{record.channels} {'equal ' if record.is_grey else ''}channels of {record.bits} bits"


def _named(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "such_as": list(names[:_NAMED])}


def _files_digest(split: SplitSurvey) -> str:
    digest = hashlib.sha256()
    for pair in sorted(split.pairs, key=lambda pair: pair.image):
        image, label = split.images[pair.image].digest, split.labels[pair.label].digest
        digest.update(f"{pair.image}\0{image}\0{label}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def write_fingerprint(path: Path, fingerprint: Mapping[str, Any]) -> None:
    """Write it as JSON."""
    write_atomically(path, json.dumps(fingerprint, indent=1) + "\n")


def changes_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is different in the data, in words; empty where it is the same. A split that came later is no difference."""
    if before["digest"] == now["digest"]:
        return []
    changes = []
    for name, old in before["splits"].items():
        new = now["splits"].get(name)
        if new is None:
            changes.append(f"{name}: is gone")
        elif old["images"] != new["images"]:
            changes.append(f"{name}: {old['images']} images then, {new['images']} now")
        elif old["files"] != new["files"]:
            changes.append(f"{name}: as many images as then, of other names or contents{_values_changed(old, new)}")
    return changes


def _values_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    then = {value: count["pixels"] for value, count in old["values"].items()}
    now = {value: count["pixels"] for value, count in new["values"].items()}
    changed = [value for value in dict.fromkeys([*then, *now]) if then.get(value, 0) != now.get(value, 0)]
    if not changed:
        return ""
    value = changed[0]
    return f"; label {value} has {now.get(value, 0)} pixels, {then.get(value, 0)} then"
