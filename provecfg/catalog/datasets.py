"""The datasets that a study can name: those that mmseg has a config for, and PROVE's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provecfg.catalog.encodings import IGNORED

if TYPE_CHECKING:
    from provecfg.pairs import Selection

CITYSCAPES_CLASSES = (  # mmseg/datasets/cityscapes.py, bdd100k.py: the 19 train ids
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)


PAIRED: Final = "PairedFilesDataset"
"""Name in mmseg's DATASETS of the plugin's class that reads any images and label maps."""


class Split(NamedTuple):
    """The files of a split, below the data root.

    Args:
        images, labels: Folders, of a class of mmseg's; of `PAIRED` file patterns, or None where `files` names both.
        files: A list of them: mmseg's `ann_file`.
        only, share, share_seed, group: As of `pairs.Selection`, for `PAIRED` alone.
    """

    images: str | None
    labels: str | None
    files: str | None = None
    only: str | None = None
    share: tuple[float, float] | None = None
    share_seed: int = 0
    group: str | None = None


class Dataset(NamedTuple):
    """A dataset.

    Args:
        name: What a study calls it; the second part of a config's file name.
        title: The name that people use.
        type: Name in mmseg's DATASETS.
        root: Data root unless a study or the environment says otherwise.
        root_variable: Environment variable that replaces the data root when a config is loaded.
        train, val, test: The splits; without `test`, validation stands for it.
        image_suffix, label_suffix: What `type` looks for, suffix of the file name included; of `PAIRED` none.
        source: Where the facts are from, such as an mmseg file.
        classes: Class names; in training a label map holds their indices.
        palette: A colour for each class, for pictures; None for mmseg's own or random ones.
        ignore_index: Label of pixels that belong to no class.
        encoding, channel_order, mapping: How files hold classes, see `PairedFilesDataset`; of mmseg's classes `mapping`
            is None.
        reduces_zero_label: Whether mmseg's class takes 0 for ignored, and 1 for class 0.
        arguments: Other arguments of `type`.
        slices: Kind, such as `weather`, to the pattern of images, or the table, that says which they are of.
        joined: The datasets that it is made of, or none.
        copy_of: The dataset of the catalog that it is a changed copy of, or "".
        cache_labels: Whether mapped label maps are kept, of `PAIRED`.
        resize_scale: (width, height) in pixels that images are scaled into, keeping their ratio.
        mean, std: Of RGB, in 0..255.
        trap: What goes wrong with it, for those who see something strange.
    """

    name: str
    title: str
    type: str
    root: str
    root_variable: str
    train: Split
    val: Split
    image_suffix: str
    label_suffix: str
    source: str
    classes: tuple[str, ...] = CITYSCAPES_CLASSES
    ignore_index: int = IGNORED
    resize_scale: tuple[int, int] = (2048, 1024)
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)  # _base_/models/pspnet_r50-d8.py, ImageNet's
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    test: Split | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    encoding: str = "ids"
    channel_order: str = "rgb"
    mapping: Mapping[int | str, int] | None = None
    reduces_zero_label: bool = False
    arguments: Mapping[str, Any] = {}  # no MappingProxyType: a dataset is copied, and handed to other processes
    slices: Mapping[str, str] = {}
    joined: tuple[Dataset, ...] = ()
    copy_of: str = ""
    cache_labels: bool = False
    trap: str = ""

    @property
    def is_paired(self) -> bool:
        """Whether the plugin's class reads it."""
        return self.type == PAIRED

    @property
    def splits(self) -> dict[str, Split]:
        """`train`, `val` and, where there is one of its own, `test`."""
        return {"train": self.train, "val": self.val, **({"test": self.test} if self.test else {})}

    @property
    def parts(self) -> tuple[Dataset, ...]:
        """The datasets whose files are read: those that it is made of, or itself."""
        return tuple(leaf for part in self.joined for leaf in part.parts) or (self,)

    @property
    def meaning(self) -> Mapping[int | str, int] | None:
        """What a value of a file means, where it is not its class."""
        if self.reduces_zero_label:
            return {0: IGNORED, **{label + 1: label for label in range(len(self.classes))}, IGNORED: IGNORED}
        if self.mapping is None and self.ignore_index != IGNORED:
            return {**{label: label for label in range(len(self.classes))}, self.ignore_index: IGNORED}
        return self.mapping

    def selection(self, split: Split) -> Selection:
        """The pairs of a split; of mmseg's classes as these find them."""
        from provecfg.pairs import Selection  # reads files, which who looks up a name does not

        images, labels = split.images, split.labels
        if not self.is_paired:
            images, labels = f"{images}/**/*{self.image_suffix}", f"{labels}/**/*{self.label_suffix}"
        return Selection(images, labels, split.files, split.only, split.share, split.share_seed, split.group)

    def as_paired(self) -> Dataset:
        """The same dataset, read by the plugin's class."""
        if self.is_paired or self.joined:
            return self

        def patterns(split: Split) -> Split:
            selection = self.selection(split)
            return split._replace(images=selection.images, labels=selection.labels)

        return self._replace(
            type=PAIRED,
            train=patterns(self.train),
            val=patterns(self.val),
            test=patterns(self.test) if self.test else None,
            image_suffix="",
            label_suffix="",
            mapping=self.meaning,
            reduces_zero_label=False,
            arguments={},
        )


def _of_mmseg() -> dict[str, Dataset]:
    """The datasets that mmseg has a config for, by its own layout: its `_base_/datasets`, and the classes named there.

    `docs.generate.mmseg_datasets` writes the file.
    """
    facts = json.loads(Path(__file__).with_name("mmseg_datasets.json").read_text(encoding="utf-8"))
    datasets = {}
    for stem, layout in facts["layouts"].items():
        of_class = facts["classes"][layout["type"]]
        name = _OWN_NAMES.get(stem, stem)
        width, height = layout["resize_scale"] or _NO_SCALE
        datasets[name] = Dataset(
            name=name,
            title=_TITLES.get(stem) or layout["type"].removesuffix("Dataset"),
            type=layout["type"],
            root=layout["root"],
            root_variable=f"PROVECFG_{re.sub('[^A-Z0-9]', '_', name.upper())}_ROOT",
            train=Split(*layout["train"]),
            val=Split(*layout["val"]),
            test=Split(*layout["test"]) if "test" in layout else None,
            image_suffix=of_class["image_suffix"],
            label_suffix=of_class["label_suffix"],
            source=f"_base_/datasets/{stem}.py",
            classes=tuple(of_class["classes"]),
            palette=_colours(of_class["palette"]),
            reduces_zero_label=of_class["reduces_zero_label"],
            resize_scale=(width, height),
            trap=_TRAPS.get(stem, ""),
        )
    return datasets


def _colours(text: str) -> tuple[tuple[int, int, int], ...]:
    """Colours written as six hexadecimal digits each."""
    return tuple((int(part[:2], 16), int(part[2:4], 16), int(part[4:], 16)) for part in text.split())


_OWN_NAMES: Final = {"bdd100k": "bdd10k"}
"""mmseg's BDD100K is the 10k subset, which alone has label maps of this kind."""

_NO_SCALE: Final = (512, 512)
"""Of Synapse, whose config of mmseg's does not scale: the size of its slices."""

_TITLES: Final = {
    "bdd100k": "BDD10k",
    "cityscapes": "Cityscapes",
    "coco-stuff10k": "COCO-Stuff 10k",
    "coco-stuff164k": "COCO-Stuff 164k",
    "mapillary_v1": "Mapillary Vistas v1.2",
    "mapillary_v2": "Mapillary Vistas v2.0",
    "pascal_context": "Pascal Context (60)",
    "pascal_context_59": "Pascal Context (59)",
    "pascal_voc12": "Pascal VOC 2012",
    "vaihingen": "Vaihingen",
}

_TRAPS: Final = {
    "bdd100k": "some archives lack label maps of a few images; a colour copy lies in labels/sem_seg/colormaps",
    "cityscapes": "label ids (_gtFine_labelIds.png) and colours of four channels (_gtFine_color.png) lie beside the "
    "train ids",
    "mapillary_v1": "66 classes; the label maps of v2.0 lie beside those of v1.2",
    "mapillary_v2": "124 classes; with v1.2's list of 66, labels from 66 on have no class",
}

_WEATHER: Final = {"weather": "*/{weather}/**/*"}

_PROVES: Final = (
    Dataset(
        name="acdc",
        title="ACDC",
        type=PAIRED,
        root="data/acdc",
        root_variable="PROVECFG_ACDC_ROOT",
        # Two suffixes in two trees, and the splits below the weathers: no folder of mmseg's `data_prefix` is a split.
        train=Split(
            "rgb_anon/{weather}/train/{sequence}/{stem}_rgb_anon.png",
            "gt/{weather}/train/{sequence}/{stem}_gt_labelTrainIds.png",
        ),
        val=Split(
            "rgb_anon/{weather}/val/{sequence}/{stem}_rgb_anon.png",
            "gt/{weather}/val/{sequence}/{stem}_gt_labelTrainIds.png",
        ),
        image_suffix="",
        label_suffix="",
        source="Sakaridis et al., ICCV 2021 (arXiv:2104.13395); mmseg/datasets/dark_zurich.py for the suffixes",
        resize_scale=(1920, 1080),  # the size of its images
        slices={"weather": "rgb_anon/{weather}/**/*"},
        trap="label ids (_gt_labelIds.png) lie beside the train ids; mapped by mistake they leave most pixels ignored",
    ),
    Dataset(
        name="idd-aw",
        title="IDD-AW",
        type=PAIRED,
        root="data/idd_aw",
        root_variable="PROVECFG_IDD_AW_ROOT",
        train=Split(
            "train/{weather}/rgb/{sequence}/{stem}_rgb.png", "train/{weather}/gtSeg/{sequence}/{stem}_mask.png"
        ),
        val=Split("val/{weather}/rgb/{sequence}/{stem}_rgb.png", "val/{weather}/gtSeg/{sequence}/{stem}_mask.png"),
        image_suffix="",
        label_suffix="",
        source="Shaik et al., WACV 2024 (arXiv:2311.14459); masks of train ids by its toolkit",
        # 19 and 20 stray into masks that were made of its polygons
        mapping={**{label: label for label in range(19)}, 19: IGNORED, 20: IGNORED, IGNORED: IGNORED},
        slices=_WEATHER,
        trap="it comes as polygons, the masks are made by its toolkit; in some 19 and 20 stray, which are ignored here",
    ),
    Dataset(
        name="outside15k",
        title="OUTSIDE15k",
        type=PAIRED,
        root="data/outside15k",
        root_variable="PROVECFG_OUTSIDE15K_ROOT",
        train=Split("train/images/OUTSIDE15k/**/*.jpg", "train/labels/OUTSIDE15k/**/*.png"),
        val=Split("test/images/OUTSIDE15k/**/*.jpg", "test/labels/OUTSIDE15k/**/*.png"),
        image_suffix="",
        label_suffix="",
        source="PROVE, unified_training_config.py and tools/outside15k.json",
        classes=(
            *("unlabeled", "animal", "barrier", "bicycle", "boat", "bridge", "building", "grass", "ground"),
            *("mountain", "object", "person", "pole", "road", "sand", "sidewalk", "sign", "sky", "street light"),
            *("traffic light", "tunnel", "vegetation", "vehicle", "water"),
        ),
        palette=_colours(
            "000000 a52a2a 5a7896 770b20 9600ff 966464 464646 98fb98 510051 40aa40 8c8c8c dc143c 999999 804080 e6a032 "
            "f423e8 dcdc00 4682b4 d2aa64 faaa1e 96785a 6b8e23 00008e 00aa1e"
        ),
        slices={"weather": "*/images/OUTSIDE15k/{weather}/**/*"},
        trap="class 0 is what nobody labelled, and counts as a class; where label maps are colours: encoding: rgb",
    ),
)

_FIRST: Final = ("bdd10k", "cityscapes", "acdc", "idd-aw", "mapillary_v1", "mapillary_v2", "outside15k")
"""What PROVE trains on; the others follow."""


def _all() -> dict[str, Dataset]:
    datasets = _of_mmseg() | {dataset.name: dataset for dataset in _PROVES}
    return {name: datasets[name] for name in dict.fromkeys((*_FIRST, *datasets))}


DATASETS: Mapping[str, Dataset] = MappingProxyType(_all())
