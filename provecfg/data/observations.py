"""What is strange about a dataset, by its survey: each a sentence, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.catalog.encodings import CITYSCAPES_LABEL_IDS, IGNORED
from provecfg.data.fingerprint import SplitSurvey, Survey, value_in_order
from provecfg.findings import Severity
from provecfg.spelling import first_few

_MUCH_IGNORED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Observation:
    """Something about the data that a person should know.

    Args:
        kind: One word for it, such as `shared`: what a test or a command goes by.
        severity: An error where training would fail or train something else; a warning where it is probably not meant.
        split: It is of, or "" for several.
        message: What, with the value.
        hint: What to do, or "".
    """

    kind: str
    severity: Severity
    split: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.split}: " if self.split else ""
        return f"{self.severity}: {place}{self.message}" + (f" ({self.hint})" if self.hint else "")


def observations_of(survey: Survey) -> list[Observation]:
    """What is strange about a dataset, errors first."""
    observations = [*_missing_splits(survey), *_shared(survey), *_of_meaning(survey)]
    for split in survey.splits.values():
        observations += [*_of_files(split), *_of_labels(split, survey)]
    return sorted(dict.fromkeys(observations), key=lambda item: -item.severity)


def _missing_splits(survey: Survey) -> Iterator[Observation]:
    for name, error in survey.problems.items():
        yield Observation("no files", Severity.ERROR, name, error.message, error.hint or "")


def _shared(survey: Survey) -> Iterator[Observation]:
    for (first, second), both in survey.shared().items():
        of_all = len(both) == len(survey.splits[second].images)
        count = "all" if of_all else str(len(both))
        names = f"{both[0][0]} is {both[0][1]}" if both[0][0] != both[0][1] else both[0][0]
        yield Observation(
            "shared",
            Severity.WARNING,
            "",
            f"{count} images of {second} are in {first}, too: {names}",
            "what is measured there was seen in training"
            if first == "train"
            else "the best checkpoint is chosen on what it is tested on",
        )


def _of_files(split: SplitSurvey) -> Iterator[Observation]:
    if split.without_label:
        names = first_few(split.without_label)
        yield Observation(
            "no label map",
            Severity.ERROR,
            split.name,
            f"{len(split.without_label)} of {len(split.pairs)} images have no label map: {names}",
        )
    unreadable = split.unreadable()
    if unreadable:
        name, reason = unreadable[0]
        yield Observation(
            "unreadable", Severity.ERROR, split.name, f"{len(unreadable)} files cannot be decoded: {name} ({reason})"
        )
    mismatched = split.mismatched()
    if mismatched:
        pair, image, label = mismatched[0]
        yield Observation(
            "sizes differ",
            Severity.ERROR,
            split.name,
            f"{len(mismatched)} label maps are not of their images' size: {pair.image} is {image[0]}x{image[1]}, its "
            f"label map {label[0]}x{label[1]}",
        )
    deep = [record for record in split.images.values() if record.bits > 8]
    if deep:
        yield Observation(
            "deep images",
            Severity.WARNING,
            split.name,
            f"{len(deep)} images have {deep[0].bits} bits a channel, of which mmcv reads the upper 8",
            "images of 12 bits in 16 become nearly black: convert them to 8 bits first",
        )
    grey = [name for name, record in split.images.items() if not record.problem and record.channels == 1]
    if grey:
        of_all = "all" if len(grey) == len(split.images) else f"{len(grey)} of {len(split.images)}"
        yield Observation(
            "grey images",
            Severity.NOTE,
            split.name,
            f"{of_all} images have one channel ({first_few(grey, 1)}), which is read as three equal ones",
            "pretrained weights take them so; there is nothing to do",
        )


def _of_labels(split: SplitSurvey, survey: Survey) -> Iterator[Observation]:
    dataset, decoder = survey.dataset, survey.decoder
    wrong = _wrong_channels(split, dataset)
    if wrong is not None:
        yield wrong
        return
    pixels = split.class_pixels(decoder)
    total = sum(pixels.values())
    if not total:
        return
    if None in pixels:
        yield _outside(split, survey)
    absent = [name for label, name in enumerate(dataset.classes) if not pixels.get(label)]
    if absent:
        yield Observation(
            "absent classes",
            Severity.NOTE,
            split.name,
            f"{len(absent)} of {len(dataset.classes)} classes have no pixel: {first_few(absent, 5)}",
        )
    ignored = pixels.get(IGNORED, 0) / total
    if ignored > _MUCH_IGNORED:
        yield Observation(
            "ignored",
            Severity.WARNING,
            split.name,
            f"{ignored:.0%} of the pixels are ignored",
            "look at the label maps: values that were mapped twice, as train ids taken for label ids, look like this, "
            "and so do classes that were left out",
        )


def _wrong_channels(split: SplitSurvey, dataset: Dataset) -> Observation | None:
    records = [record for record in split.readable() if record.channels > 1]
    if not records:
        if dataset.encoding == "rgb" and any(True for _ in split.readable()):
            message = "label maps have one channel, and `encoding: rgb` is three"
            return Observation("numbers", Severity.ERROR, split.name, message, "say `encoding: ids`, or palette")
        return None
    coloured = [record for record in records if not record.is_grey]
    if coloured and dataset.encoding != "rgb":
        hint = "say `encoding: rgb`, and the colour of each class by `palette`"
        message = f"{len(coloured)} label maps hold colours in {coloured[0].channels} channels, not numbers"
        return Observation("colours", Severity.ERROR, split.name, message, hint)
    if not coloured and dataset.encoding not in ("repeated", "rgb"):
        message = f"{len(records)} label maps have {records[0].channels} channels, all equal"
        return Observation("repeated", Severity.ERROR, split.name, message, "say `encoding: repeated`")
    return None


def _outside(split: SplitSurvey, survey: Survey) -> Observation:
    decoder = survey.decoder
    codes = [value_in_order(value, split.layout) for value in split.values()]
    shown = [decoder.shown(code) for code in codes if decoder.meaning(code) is None]
    return Observation(
        "no class",
        Severity.ERROR,
        split.name,
        f"values without a class: {first_few(shown, 8)}",
        _likely_meaning(split) or "give each a class in `mapping`, or `ignore`",
    )


def _likely_meaning(split: SplitSurvey) -> str:
    values = set(split.values())
    if looks_like_label_ids(values):
        return "they look like Cityscapes' label ids: say `encoding: cityscapes_label_ids`"
    if values == {0, 255} or values == {255}:
        return "masks of 0 and 255 are `encoding: binary_255`"
    return ""


def looks_like_label_ids(values: set[int]) -> bool:
    """Whether values are Cityscapes' label ids: some beyond the train ids, and most of them ids that are trained."""
    known = {value for value in CITYSCAPES_LABEL_IDS if isinstance(value, int)}
    own = values - {IGNORED}
    if not own or not own <= known or max(own) <= 18:
        return False
    trained = {value for value in own if CITYSCAPES_LABEL_IDS[value] != IGNORED}
    return len(trained) * 2 >= len(own) and len(trained) >= 3


def _of_meaning(survey: Survey) -> Iterator[Observation]:
    """What the values of all splits together betray about the way that the label maps were made."""
    decoder, classes = survey.decoder, survey.dataset.classes
    present: set[int] = set()
    ignored = total = 0
    for split in survey.splits.values():
        pixels = split.class_pixels(decoder)
        present |= {label for label, count in pixels.items() if label is not None and label != IGNORED and count}
        ignored += pixels.get(IGNORED, 0)
        total += sum(pixels.values())
    if total:
        yield from made_wrongly(present, ignored / total, _palettes_for(classes), len(classes))


def made_wrongly(
    present: set[int], ignored_share: float, palettes: Mapping[str, tuple[tuple[int, int, int], ...]], classes: int
) -> Iterator[Observation]:
    """Whether label maps look like train ids mapped twice, or like colours read in the wrong channel order.

    Args:
        present: Classes with a pixel.
        ignored_share: Of all pixels.
        palettes: Colours of the classes, by the name of where they are from.
        classes: How many there are.
    """
    for name, palette in palettes.items():
        grey = {label for label, colour in enumerate(palette) if colour[0] == colour[2]}
        if len(present) >= 3 and present <= grey and len(grey) * 2 < classes and ignored_share > 0:
            yield Observation(
                "channel order",
                Severity.WARNING,
                "",
                f"only classes are left whose colour in {name}'s palette has as much red as blue: {len(present)} of "
                f"{classes}",
                "colours were read in the wrong channel order: make the label maps again, or use the colour files with "
                "`encoding: rgb`",
            )
            return
    twice = {label for value in range(19) if (label := CITYSCAPES_LABEL_IDS[value]) != IGNORED}
    if classes == 19 and present and present <= twice and ignored_share > _MUCH_IGNORED:
        yield Observation(
            "mapped twice",
            Severity.WARNING,
            "",
            f"{classes - len(present)} of {classes} classes have no pixel, and {ignored_share:.0%} of the pixels are "
            "ignored: so train ids look that were mapped as label ids once more",
            "take the train ids as they were before, with `encoding: ids`",
        )


def _palettes_for(classes: tuple[str, ...]) -> dict[str, tuple[tuple[int, int, int], ...]]:
    """The known palettes of datasets with these classes."""
    return {
        dataset.title: dataset.palette
        for dataset in DATASETS.values()
        if dataset.palette is not None and dataset.classes == classes
    }
