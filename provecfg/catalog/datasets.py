"""The datasets that a study can name, laid out as mmseg expects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

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


@dataclass(frozen=True, slots=True)
class Split:
    """Where the images and label maps of a split are, below the data root."""

    images: str
    labels: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset.

    Args:
        name: What a study calls it; the second part of a config's file name.
        title: The name that people use.
        type: Name in mmseg's DATASETS.
        root: Data root unless a study or the environment says otherwise.
        root_variable: Environment variable that replaces the data root when a config is loaded.
        train, val: The splits.
        image_suffix, label_suffix: What `type` looks for, suffix of the file name included.
        classes: Class names; a label map holds their indices.
        ignore_index: Label of pixels that belong to no class.
        resize_scale: (width, height) in pixels that images are scaled into, keeping their ratio.
        normalisation: Mean and standard deviation of RGB, in 0..255.
        source: mmseg file that the facts are from.
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
    ignore_index: int = 255
    resize_scale: tuple[int, int] = (2048, 1024)
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)  # _base_/models/pspnet_r50-d8.py, ImageNet's
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)


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
