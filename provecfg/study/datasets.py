"""A dataset of the user's own, as a study names it: files, classes, and how label maps hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, TypeAdapter, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from provecfg import invariants, spelling
from provecfg.catalog.datasets import DATASETS, PAIRED, Dataset, Split
from provecfg.catalog.encodings import IGNORED, LARGEST_VALUE, MOST_CLASSES
from provecfg.errors import ProvecfgError
from provecfg.pairs import is_table
from provecfg.patterns import Pattern, filling_problem
from provecfg.study.spec import Spec, Text, problem

IGNORE: Final = "ignore"
"""What a mapping says of a value that belongs to no class."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_Problem = tuple[tuple[int | str, ...], str]
"""Where in an entry it is, and what."""
_ADVICE_ON_SPLITS = "say where its files are, `files: list.txt`, or `fraction` in `train`"

Colour = Annotated[tuple[int, int, int], Field(description="Red, green and blue, each 0 to 255.")]


def _is_pattern(text: str) -> str:
    try:
        Pattern(text)
    except ProvecfgError as error:
        raise problem("unreadable_pattern", error.message) from error
    if text.startswith("/") or ".." in text.split("/"):
        raise problem("unreadable_pattern", f"{text!r} leads out of the data root; patterns are below it")
    return text


FilePattern = Annotated[str, Field(min_length=1), AfterValidator(_is_pattern)]


class SplitEntry(Spec):
    """The files of a split. Of an image, the label map is the one that `labels` names when filled by its name."""

    images: FilePattern | None = Field(
        default=None, description="Pattern of the images below the root: images/train/*.jpg. Unless said, train's."
    )
    labels: FilePattern | None = Field(
        default=None, description="Pattern of the label maps: masks/train/*.png. Unless said, train's."
    )
    files: Text | None = Field(
        default=None,
        description="List below the root: a line names an image, or an image and its label map where no pattern does.",
    )
    only: FilePattern | None = Field(default=None, description="Pattern of the images that are kept: '*_night_*'.")
    fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="Share of the images, drawn by chance. Splits take what the one before has left; the last, without "
        "a number, the rest.",
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Of that chance; said in train alone.")
    group: FilePattern | None = Field(
        default=None,
        description="Pattern whose fields say which images stay together, such as '{scene}_*'; said in train alone.",
    )


def _known_dataset(name: str) -> str:
    if name not in DATASETS:
        raise problem("unknown_dataset", spelling.unknown("dataset", name, DATASETS))
    return name


DatasetName = Annotated[str, AfterValidator(_known_dataset), Field(json_schema_extra={"enum": list(DATASETS)})]


class DatasetEntry(Spec):
    """A dataset that the catalog does not have, or one of the catalog's, changed."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="What the study calls it, and its configs' files: letters, digits, '.', '_' and '-'."
    )
    base: DatasetName | None = Field(
        default=None, description="A dataset of the catalog, of which this one differs in what is said here."
    )
    join: tuple[DatasetChoice, ...] = Field(
        default=(), description="Datasets of the same classes that this one is made of: names, or entries."
    )
    title: str | None = Field(default=None, description="The name that people use; unless said, `name`.")
    root: Text | None = Field(default=None, description="Data root; unless said, data/<name>.")
    train: SplitEntry | None = Field(default=None, description="Files that are trained on.")
    val: SplitEntry | None = Field(default=None, description="Files that are validated on.")
    test: SplitEntry | None = Field(default=None, description="Files that are tested on; unless said, those of `val`.")
    classes: tuple[Text, ...] | None = Field(
        default=None,
        min_length=2,
        max_length=MOST_CLASSES,
        description="Names, in the order of their numbers; or a file with one a line.",
    )
    encoding: Literal["ids", "palette", "cityscapes_label_ids", "rgb", "repeated", "binary_255"] = Field(
        default="ids",
        description="How a label map holds classes: numbers, indices of a palette, Cityscapes' label ids, colours, "
        "three equal channels, or 0 and 255.",
    )
    channel_order: Literal["rgb", "bgr"] = Field(default="rgb", description="Of colours in label maps.")
    mapping: dict[str, int | str] | None = Field(
        default=None,
        description="Value, or colour as '#rrggbb', to class (name or number) or `ignore`. A value that stands for "
        "nothing is an error in training. Unless said, a value is its class.",
    )
    ignore: tuple[int | str, ...] | None = Field(
        default=None, description="Values, or colours as '#rrggbb', of pixels of no class. Without a mapping, [255]."
    )
    reduce_zero_label: bool = Field(
        default=False, description="Whether 0 is no class and 1 is the first: short for a mapping."
    )
    palette: dict[str, Colour] | None = Field(
        default=None,
        description="Class to red, green, blue: of the label maps where they hold colours, and of pictures.",
    )
    slices: dict[str, FilePattern] = Field(
        default_factory=dict,
        description="Kind to a pattern of images, {weather: 'images/*/{weather}/*'}, or to a table below the root, "
        "{weather: attributes.csv}, with a column of that name and `image`.",
    )
    resize_scale: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]] | None = Field(
        default=None, description="Width and height in pixels that images are scaled into, keeping their ratio."
    )

    cache_labels: bool = Field(
        default=False,
        description="Whether label maps are mapped once and kept in the user's cache folder, and not in every epoch.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> DatasetEntry:
        errors = [
            InitErrorDetails(type=problem("set_dataset", message), loc=location, input=None)
            for location, message in _problems(self)
        ]
        if errors:
            raise ValidationError.from_exception_data("dataset", errors)
        return self


def _kind_of_choice(value: Any) -> str:
    return "entry" if isinstance(value, dict | DatasetEntry) else "dataset"


DatasetChoice = Annotated[
    Annotated[DatasetName, Tag("dataset")] | Annotated[DatasetEntry, Tag("entry")], Discriminator(_kind_of_choice)
]
DatasetEntry.model_rebuild()
_CHOICE: TypeAdapter[str | DatasetEntry] = TypeAdapter(DatasetChoice)


def name_of(choice: str | DatasetEntry) -> str:
    """What a study calls a dataset."""
    return choice if isinstance(choice, str) else choice.name


def dataset_of(choice: str | DatasetEntry) -> Dataset:
    """A dataset, resolved: the catalog's, or what an entry says."""
    if isinstance(choice, str):
        return DATASETS[choice]
    own: dict[str, Any] = {
        "name": choice.name,
        "title": choice.title or choice.name,
        "root": choice.root or f"data/{choice.name}",
        "root_variable": f"PROVECFG_{re.sub('[^A-Z0-9]', '_', choice.name.upper())}_ROOT",
    }
    if choice.resize_scale is not None:
        own["resize_scale"] = choice.resize_scale
    if choice.slices:
        own["slices"] = dict(choice.slices)
    if choice.cache_labels:
        own["cache_labels"] = True
    if choice.join:
        return _joined(choice, own)
    if choice.base is not None:
        return _changed(choice, DATASETS[choice.base], own)
    splits = _splits(choice, {})
    classes = _classes(choice)
    colours = choice.palette or {}
    has_palette = all(name in colours for name in classes)
    return Dataset(
        **own,
        type=PAIRED,
        train=splits["train"],
        val=splits["val"],
        test=splits.get("test"),
        image_suffix="",
        label_suffix="",
        source="the study",
        classes=classes,
        palette=tuple(colours[name] for name in classes) if has_palette else None,
        encoding=choice.encoding,
        channel_order=choice.channel_order,
        mapping=_mapping(choice, classes),
    )


def _classes(entry: DatasetEntry) -> tuple[str, ...]:
    if entry.classes is not None:
        return entry.classes
    if entry.base is not None:
        return DATASETS[entry.base].classes
    if entry.join:
        return _classes_of(entry.join[0])
    return DATASETS["cityscapes"].classes if entry.encoding == "cityscapes_label_ids" else ()


def _classes_of(choice: str | DatasetEntry) -> tuple[str, ...]:
    return DATASETS[choice].classes if isinstance(choice, str) else _classes(choice)


def classes_of_fields(choice: Any) -> tuple[str, ...]:
    """The classes of a dataset as a study's file holds it; none where it has a mistake."""
    try:
        return _classes_of(_CHOICE.validate_json(json.dumps(choice, default=str)))
    except ValidationError:
        return ()


def _joined(entry: DatasetEntry, own: dict[str, Any]) -> Dataset:
    parts = tuple(dataset_of(choice) for choice in entry.join)
    first = parts[0]
    own = {"resize_scale": first.resize_scale, **own, "root": first.root, "root_variable": first.root_variable}
    return first._replace(**own, joined=parts, test=first.test if all(part.test for part in parts) else None)


def _changed(entry: DatasetEntry, base: Dataset, own: dict[str, Any]) -> Dataset:
    """A dataset of the catalog with what an entry says in its place."""
    own |= {"title": entry.title or f"{base.title} ({entry.name})", "copy_of": base.name}
    if entry.root is None:
        own |= {"root": base.root, "root_variable": base.root_variable}
    stated = entry.model_fields_set
    of_labels = {"encoding", "channel_order", "mapping", "ignore", "reduce_zero_label", "cache_labels"}
    if not stated & {"train", "val", "test", *of_labels}:
        return base._replace(**own)
    paired = base.as_paired()
    splits = _splits(entry, paired.splits)
    if stated & {"encoding", "mapping", "ignore", "reduce_zero_label"}:
        own |= {"encoding": entry.encoding, "mapping": _mapping(entry, base.classes)}
        own["channel_order"] = entry.channel_order
    return paired._replace(**own, train=splits["train"], val=splits["val"], test=splits.get("test"))


def _splits(entry: DatasetEntry, of_base: Mapping[str, Split]) -> dict[str, Split]:
    """The splits of an entry that has no problems."""
    splits: dict[str, Split] = {}
    first = entry.train or SplitEntry()
    begin = 0.0
    for name, own in (("train", entry.train), ("val", entry.val), ("test", entry.test)):
        split = own
        if split is None:
            is_rest = name == "val" and first.fraction is not None
            if not is_rest:
                if name in of_base:
                    splits[name] = of_base[name]
                continue
            split = SplitEntry()
        share = None
        is_drawn = first.fraction is not None and (split.images is None or split.images == first.images)
        if is_drawn:
            end = begin + split.fraction if split.fraction is not None else 1.0
            share, begin = (round(begin, 6), min(1.0, round(end, 6))), end
        base = of_base.get("train" if is_drawn else name)
        inherits = split.files is None or not (split.images or split.labels)
        splits[name] = Split(
            images=split.images or (base.images if base else first.images if inherits else None),
            labels=split.labels or (base.labels if base else first.labels if inherits else None),
            files=split.files,
            only=split.only,
            share=share,
            share_seed=first.seed or 0 if share else 0,
            group=first.group if share else None,
        )
    return splits


def _mapping(entry: DatasetEntry, classes: tuple[str, ...]) -> Mapping[int | str, int] | None:
    """What each value means; None where that is what the encoding says by itself."""
    number = {name: index for index, name in enumerate(classes)}
    if entry.encoding == "rgb":
        mapping: dict[int | str, int] = {
            _hex(colour): number[name] for name, colour in _colours(entry, classes).items() if name in number
        }
    elif entry.mapping is not None:
        mapping = {}
    elif entry.reduce_zero_label:
        mapping = {0: IGNORED, **{index + 1: index for index in range(len(classes))}}
    elif entry.encoding in ("cityscapes_label_ids", "binary_255"):
        return None
    else:
        mapping = {index: index for index in range(len(classes))}
    for value, label in (entry.mapping or {}).items():
        mapping[_value(value, entry)] = IGNORED if label == IGNORE else number[label] if label in number else int(label)
    unsaid = (IGNORED,) if entry.mapping is None and entry.encoding != "rgb" else ()
    for ignored in entry.ignore if entry.ignore is not None else unsaid:
        mapping[_value(ignored, entry)] = IGNORED
    plain = {**{index: index for index in range(len(classes))}, IGNORED: IGNORED}
    return None if mapping == plain else mapping


def _colours(entry: DatasetEntry, classes: tuple[str, ...]) -> Mapping[str, tuple[int, int, int]]:
    """The colours of classes: those that an entry says, else those of its base."""
    base = DATASETS[entry.base].palette if entry.base is not None else None
    return entry.palette or dict(zip(classes, base or (), strict=False))


def _value(value: int | str, entry: DatasetEntry) -> int | str:
    return str(value).lower() if entry.encoding == "rgb" else int(value)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _problems(entry: DatasetEntry) -> Iterator[_Problem]:
    """What an entry lacks, or says twice, each with the field that it is of; consequences of others are left out."""
    if entry.name in DATASETS:
        yield ("name",), f"the catalog has a dataset {entry.name!r}; name this one otherwise, with `base: {entry.name}`"
    if entry.join:
        yield from _join_problems(entry)
        return
    classes = _classes(entry)
    if classes:
        yield from _class_problems(entry, classes)
        yield from _mapping_problems(entry, classes)
    else:
        yield (), "`classes` is missing: a list of names, or a file with one a line"
    yield from _slice_problems(entry)
    yield from _split_problems(entry)


def _class_problems(entry: DatasetEntry, classes: tuple[str, ...]) -> Iterator[_Problem]:
    twice = invariants.distinct(classes)
    if twice:
        yield ("classes",), f"classes: {twice}"
    if entry.base is not None and entry.classes is not None and entry.classes != DATASETS[entry.base].classes:
        yield ("classes",), f"`classes` are those of {entry.base}; an entry without `base` has its own"
    number = len(classes)
    if entry.encoding == "cityscapes_label_ids" and entry.mapping is None and number != 19:
        message = f"Cityscapes' label ids are 19 classes, and there are {number} here; `mapping` says which is which"
        yield ("encoding",), message
    if entry.encoding == "binary_255" and number != 2:
        listed = ", ".join(classes[:5])
        yield ("encoding",), f"masks of 0 and 255 have two classes, and there are {number} here: {listed}"


_OF_JOINED: Final = {"name", "title", "join", "resize_scale"}
"""What an entry says beside `join`; all else is its datasets'."""


def _join_problems(entry: DatasetEntry) -> Iterator[_Problem]:
    fields = {name for name in entry.model_fields_set if getattr(entry, name) is not None}  # null leaves it unsaid
    for name in sorted(fields - _OF_JOINED):
        yield (name,), f"{name!r} is said by the datasets that are joined, not beside `join`"
    if len(entry.join) < 2:
        yield ("join",), "`join` takes two datasets or more"
    classes = _classes_of(entry.join[0])
    for index, choice in enumerate(entry.join):
        if _classes_of(choice) != classes:
            message = (
                f"{name_of(choice)} has other classes than {name_of(entry.join[0])}; joined datasets have the same"
            )
            yield ("join", index), message


def _mapping_problems(entry: DatasetEntry, classes: tuple[str, ...]) -> Iterator[_Problem]:
    for name, colour in (entry.palette or {}).items():
        if name not in classes:
            yield ("palette", name), f"palette: {spelling.unknown('class', name, classes)}"
        if not all(0 <= channel <= 255 for channel in colour):
            yield ("palette", name), f"palette: {name} is {list(colour)}; channels are 0 to 255"
    if entry.encoding == "rgb":
        yield from _colour_problems(entry, classes)
    if entry.reduce_zero_label and entry.mapping is not None:
        message = "`reduce_zero_label` and `mapping` both map; say it in the mapping: 0: ignore, 1: 0 and so on"
        yield ("reduce_zero_label",), message
    if entry.reduce_zero_label and entry.encoding not in ("ids", "palette", "repeated"):
        message = f"`reduce_zero_label` is of label maps of numbers, not of {entry.encoding}"
        yield ("reduce_zero_label",), message
    if entry.channel_order != "rgb" and entry.encoding != "rgb":
        yield ("channel_order",), f"`channel_order` is of colours, and `encoding` is {entry.encoding}"
    values: list[tuple[tuple[int | str, ...], int | str]] = [
        (("mapping", value), value) for value in entry.mapping or ()
    ]
    values += [(("ignore", index), value) for index, value in enumerate(entry.ignore or ())]
    wrong = [location for location, value in values if not _is_value(value, entry)]
    for location, value in values:
        if location in wrong:
            what = (
                "a colour such as '#8000ff'"
                if entry.encoding == "rgb"
                else f"a number of a label map; these are 0 to {LARGEST_VALUE}"
            )
            yield location, f"{value!r} is not {what}"
    if not wrong:
        yield from _double_meanings(entry, classes)
    for value, label in (entry.mapping or {}).items():
        location = ("mapping", value)
        if isinstance(label, int):
            if not 0 <= label < len(classes):
                highest = len(classes) - 1
                yield location, f"mapping: {value} leads to {label}; classes are 0 to {highest}, `ignore` is for none"
        elif label != IGNORE and label not in classes:
            yield location, f"mapping: {spelling.unknown('class', label, [*classes, IGNORE])}"


def _is_value(value: int | str, entry: DatasetEntry) -> bool:
    text = str(value)
    if entry.encoding == "rgb":
        return _COLOUR.fullmatch(text) is not None
    return text.isdecimal() and len(text) < 9 and int(text) <= LARGEST_VALUE


def _double_meanings(entry: DatasetEntry, classes: tuple[str, ...]) -> Iterator[_Problem]:
    """Values that stand for two things; the loader would take the last."""
    number = {name: index for index, name in enumerate(classes)} | {IGNORE: IGNORED}
    statements: list[tuple[tuple[int | str, ...], int | str, int | str]] = []
    if entry.encoding == "rgb":
        statements += [
            (("palette", name), _hex(colour), number.get(name, name)) for name, colour in (entry.palette or {}).items()
        ]
    statements += [
        (("mapping", value), _value(value, entry), label if isinstance(label, int) else number.get(label, label))
        for value, label in (entry.mapping or {}).items()
    ]
    statements += [(("ignore", index), _value(value, entry), IGNORED) for index, value in enumerate(entry.ignore or ())]
    earlier: dict[int | str, tuple[int | str, int | str]] = {}
    meanings: dict[int | str, str] = {**dict(enumerate(classes)), IGNORED: IGNORE}
    for (field, at), value, label in statements:
        first, before = earlier.setdefault(value, (field, label))
        if before != label and (first, field) != ("palette", "palette"):
            meant, other = (meanings.get(own, own) for own in (label, before))
            yield (field, at), f"{value!r} is {meant} here, and {other} in `{first}`"


def _colour_problems(entry: DatasetEntry, classes: tuple[str, ...]) -> Iterator[_Problem]:
    colours, mapped = _colours(entry, classes), set((entry.mapping or {}).values())
    for index, name in enumerate(classes):
        if name not in colours and not mapped & {name, index}:
            yield (), f"class {name!r} has no colour; `palette` gives each class red, green and blue"
            break
    twice = invariants.distinct([_hex(colour) for colour in colours.values()])
    if twice:
        yield ("palette",), f"palette: colour {twice}"


def _slice_problems(entry: DatasetEntry) -> Iterator[_Problem]:
    """A pattern whose slice cannot be told: `{weather}` is misspelt, and there are several parts that it could be."""
    for kind, text in entry.slices.items():
        pattern = Pattern("") if is_table(text) else Pattern(text)
        if kind not in pattern.fields and len(pattern.fields) + pattern.wildcards > 1 and pattern.text:
            yield ("slices", kind), f"slices: {text!r} has no field {{{kind}}}, which says what slice an image is in"


def _split_problems(entry: DatasetEntry) -> Iterator[_Problem]:
    if entry.base is None and entry.train is None:
        yield (), f"`train` is missing: {_ADVICE_ON_SPLITS}"
        return
    first = entry.train or SplitEntry()
    if entry.base is None and entry.val is None and first.fraction is None:
        yield (), f"`val` is missing: {_ADVICE_ON_SPLITS}"
        return
    wrong = list(_fraction_problems(entry, first))
    yield from wrong
    if wrong:
        return
    base = DATASETS[entry.base].as_paired().splits if entry.base is not None else {}
    for name, resolved in _splits(entry, base).items():
        if resolved.share is not None and resolved.share[0] >= resolved.share[1]:
            yield (name,), f"{name}: nothing is left of the images; lower the fraction of another split"
        if (resolved.images is None) != (resolved.labels is None):
            yield (name,), f"{name}: `images` and `labels` belong together"
        elif resolved.images is None or resolved.labels is None:
            if resolved.files is None:
                yield (name,), f"{name}: no files; {_ADVICE_ON_SPLITS}"
        else:
            message = filling_problem(Pattern(resolved.images), Pattern(resolved.labels))
            if message is not None:
                yield (name,), f"{name}: {message}"


def _fraction_problems(entry: DatasetEntry, first: SplitEntry) -> Iterator[_Problem]:
    total, rest = 0.0, False
    for name, split in (("train", entry.train), ("val", entry.val), ("test", entry.test)):
        if split is None:
            continue
        if name != "train" and (split.seed is not None or split.group is not None):
            yield (name,), f"{name}: `seed` and `group` are said in `train`, and hold for every split"
        if split.fraction is not None and first.fraction is None:
            yield (name, "fraction"), f"{name}: `fraction` needs one in `train`, of which this takes what is left"
        is_drawn = first.fraction is not None and (split.images is None or split.images == first.images)
        if is_drawn and rest:
            yield (name,), f"{name}: nothing is left, since the split before has no `fraction` and takes the rest"
        if is_drawn:
            total += split.fraction or 0.0
            rest = split.fraction is None
    if total > 1 + 1e-9:
        yield (), f"the fractions add up to {total:g}; they are shares of the whole"
    if first.fraction == 1 and entry.val is None:
        yield ("train", "fraction"), "`train` takes all images, and nothing is left to validate on"
