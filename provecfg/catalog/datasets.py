"""The datasets that a study can name, laid out as mmseg expects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from provecfg.catalog.encodings import IGNORED
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


@dataclass(frozen=True, slots=True)
class Split:
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


@dataclass(frozen=True, slots=True)
class Dataset:
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
        slices: Kind, such as `weather`, to the pattern of images that says which they are of.
        joined: The datasets that it is made of, or none.
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
    arguments: Mapping[str, Any] = field(default_factory=dict)
    slices: Mapping[str, str] = field(default_factory=dict)
    joined: tuple[Dataset, ...] = ()
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
    def meaning(self) -> Mapping[int | str, int] | None:
        """What a value of a file means, where it is not its class."""
        if self.reduces_zero_label:
            return {0: IGNORED, **{label + 1: label for label in range(len(self.classes))}, IGNORED: IGNORED}
        return self.mapping

    def selection(self, split: Split) -> Selection:
        """The pairs of a split; of mmseg's classes as these find them."""
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
            return replace(split, images=selection.images, labels=selection.labels)

        return replace(
            self,
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


_ALL = (
    Dataset(
        name="bdd10k",
        title="BDD10k",
        type="BDD100KDataset",
        root="data/bdd100k",
        root_variable="PROVECFG_BDD10K_ROOT",
        train=Split("images/10k/train", "labels/sem_seg/masks/train"),
        val=Split("images/10k/val", "labels/sem_seg/masks/val"),
        image_suffix=".jpg",
        label_suffix=".png",
        source="_base_/datasets/bdd100k.py",
    ),
    Dataset(
        name="cityscapes",
        title="Cityscapes",
        type="CityscapesDataset",
        root="data/cityscapes",
        root_variable="PROVECFG_CITYSCAPES_ROOT",
        train=Split("leftImg8bit/train", "gtFine/train"),
        val=Split("leftImg8bit/val", "gtFine/val"),
        image_suffix="_leftImg8bit.png",
        label_suffix="_gtFine_labelTrainIds.png",
        source="_base_/datasets/cityscapes.py",
    ),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in _ALL})
