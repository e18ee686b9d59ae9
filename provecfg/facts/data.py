"""Data loaders, the datasets in them, and what becomes of an image on its way through a pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from provecfg.facts.lookup import Lookup
from provecfg.facts.numbers import count
from provecfg.mmconfig import Node, Opaque
from provecfg.registry import ClassInfo
from provecfg.registry.classes import ClassRecord
from provecfg.registry.kwargs_flow import OPEN

DATASET_CLASSES: Final = {
    # mmsegmentation 1.2.2 and 1.4.2, datasets/*.py, METAINFO['classes']
    "ADE20KDataset": 150,
    "BDD100KDataset": 19,
    "COCOStuffDataset": 171,
    "ChaseDB1Dataset": 2,
    "CityscapesDataset": 19,
    "DRIVEDataset": 2,
    "DarkZurichDataset": 19,
    "HRFDataset": 2,
    "HSIDrive20Dataset": 11,
    "ISPRSDataset": 6,
    "LEVIRCDDataset": 2,
    "LIPDataset": 20,
    "LoveDADataset": 7,
    "MapillaryDataset_v1": 66,
    "MapillaryDataset_v2": 124,
    "NightDrivingDataset": 19,
    "PascalContextDataset": 60,
    "PascalContextDataset59": 59,
    "PascalVOCDataset": 21,
    "PotsdamDataset": 6,
    "REFUGEDataset": 3,
    "STAREDataset": 2,
    "SynapseDataset": 9,
    "iSAIDDataset": 16,
}
"""Number of classes that each dataset of mmseg's has by itself."""

LABEL_LOADERS: Final = ("LoadAnnotations", "LoadEncodedAnnotations")
"""Transforms that load a label map: mmseg's, and our plugin's."""

Split = Literal["train", "val", "test"]


_THREE: Final = ("color", "color_ignore_orientation")
_ONE: Final = ("grayscale", "grayscale_ignore_orientation")
_DECODES_BY_COLOUR_TYPE: Final = ("cv2", "pillow", "turbojpeg")
"""Backends that make as many channels as `color_type` says (mmcv 2.1.0, image/io.py); tifffile leaves them alone."""

_SAME_CHANNELS: Final = frozenset(
    {
        # mmsegmentation 1.2.2, datasets/transforms; mmcv 2.1.0, transforms
        "LoadAnnotations",
        "Resize",
        "RandomResize",
        "RandomChoiceResize",
        "ResizeShortestEdge",
        "ResizeToMultiple",
        "RandomCrop",
        "RandomFlip",
        "RandomRotate",
        "RandomCutOut",
        "Pad",
        "PhotoMetricDistortion",
        "CLAHE",
        "AdjustGamma",
        "Rerange",
        "GenerateEdge",
        "PackSegInputs",
    }
)
"""Transforms that leave the number of an image's channels as it is."""


@dataclass(frozen=True)
class Loader:
    """One data loader.

    Args:
        split: `train`, `val` or `test`.
        node: Its dict.
        config: The config.
    """

    split: Split
    node: Node
    config: Lookup

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets at the bottom of it: wrappers are looked through."""
        node = self.node.get("dataset")
        return tuple(_leaves(node, self.config, 0)) if node is not None else ()

    @cached_property
    def batch_size(self) -> int | None:
        value = self.node.value.get("batch_size")
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Dataset:
    """One dataset that is not a wrapper.

    Args:
        node: Its dict.
        config: The config.
        outer_pipeline: The pipeline of a wrapper around it, which runs after its own.
    """

    node: Node
    config: Lookup
    outer_pipeline: Node | None = None

    @cached_property
    def kind(self) -> str:
        return self.node.type or ""

    @cached_property
    def transforms(self) -> tuple[Node, ...]:
        """Its pipeline's dicts, then those of the wrapper's."""
        pipelines = (self.node.get("pipeline"), self.outer_pipeline)
        return tuple(
            transform
            for pipeline in pipelines
            if pipeline is not None and pipeline.is_list
            for transform in pipeline
            if transform.is_dict
        )

    def transform(self, *kinds: str) -> Node | None:
        return next((transform for transform in self.transforms if transform.type in kinds), None)

    @cached_property
    def classes(self) -> int | None:
        """How many classes it has: its `metainfo`'s, else those that its class has by itself."""
        names = self.node.dig("metainfo.classes")
        if names is not None:
            return len(names.value) if names.is_list else None
        if self.node.dig("metainfo") is not None and not isinstance(self.node.value["metainfo"], dict):
            return None
        info = self.config.class_of(self.node, "dataset")
        return _classes_of(info) if info is not None else None

    @cached_property
    def keeps_labels(self) -> bool:
        """Whether no transform of its pipelines is one of the user's that may change labels."""
        infos = (self.config.class_of(transform, "transform") for transform in self.transforms)
        return all(
            info is not None and not (info.is_of_user and any(map(info.may_take_out, ("gt_seg_map", "seg_fields"))))
            for info in infos
        )

    @cached_property
    def is_read_as_the_release_does(self) -> bool:
        """Whether no class of the user's replaces how it lists, loads and prepares what it has."""
        info = self.config.class_of(self.node, "dataset")
        return info is not None and all(
            record is not None
            and (record.file is None or (record.own_names or frozenset()) <= {"METAINFO", "__init__"})
            for record in info.ancestors
        )

    @cached_property
    def image_channels(self) -> int | None:
        """Channels of what its pipeline makes of an image; None where a transform, or the dataset, is not known."""
        if not self.is_read_as_the_release_does:
            return None
        channels = None
        for node in self.transforms:
            info = self.config.class_of(node, "transform")
            if info is None or info.is_of_user:
                return None
            if node.type == "LoadImageFromFile":
                colour_type = self.config.value(node, "color_type", "color")
                if self.config.value(node, "imdecode_backend", "cv2") not in _DECODES_BY_COLOUR_TYPE:
                    return None
                channels = 3 if colour_type in _THREE else 1 if colour_type in _ONE else None
            elif node.type == "RGB2Gray":
                out = self.config.value(node, "out_channels")
                channels = channels if out is None else count(out)
            elif node.type not in _SAME_CHANNELS:
                return None
            if channels is None:
                return None
        return channels

    @cached_property
    def is_of_release(self) -> bool:
        """Whether it is the release's dataset of its name, or a copy with as many classes: of those images."""
        info = self.config.class_of(self.node, "dataset")
        if info is None or not info.is_of_user:
            return True
        return self.kind in DATASET_CLASSES and _classes_of(info) == DATASET_CLASSES[self.kind]

    @cached_property
    def reduces_zero_label(self) -> bool | None:
        """Whether 0 is a label that it takes for ignored; None where neither the config nor its class tells."""
        value = self.config.argument(self.node, "reduce_zero_label", "dataset")
        return value if isinstance(value, bool) else None


def _classes_of(info: ClassInfo) -> int | None:
    """How many classes a dataset has by its METAINFO, its own or the nearest parent's."""
    for record in info.ancestors:
        if record is None or record.flow == OPEN or _gives_metainfo(record):
            return None
        if record.file is not None and record.may_hide("METAINFO"):
            return None if _makes_labels(record) else record.class_count
        if record.file is None and record.name in DATASET_CLASSES:
            return DATASET_CLASSES[record.name]
    return None


def _makes_labels(record: ClassRecord) -> bool:
    """Whether a class may make other labels of a label map, by what it does beside being constructed, or therein."""
    is_plain = (record.own_names or frozenset()) <= {"METAINFO", "__init__"}
    return not is_plain or bool(record.texts & {"metainfo", "label_map"})


def _gives_metainfo(record: ClassRecord) -> bool:
    """Whether a constructor hands a `metainfo` of its own to its parent, which goes before METAINFO."""
    hands_on = record.flow is not None and any("metainfo" in target.given for target in record.flow.targets)
    return hands_on or any(it.name == "metainfo" and it.default is not None for it in record.parameters or ())


class Size(NamedTuple):
    """What is known about an image's size after a pipeline, (height, width) in pixels.

    Args:
        height, width: Exact, or None.
        is_fixed: Every image has this size, whatever its own.
        at: The transform that decided it.
    """

    height: int | None
    width: int | None
    is_fixed: bool
    at: Node | None


_SAME_SIZE: Final = frozenset(
    {
        "LoadImageFromFile",
        "LoadAnnotations",
        "LoadEncodedAnnotations",
        "LoadDepthAnnotation",
        "RandomFlip",
        "PhotoMetricDistortion",
        "PackSegInputs",
        "Normalize",
        "GenerateEdge",
        "CLAHE",
        "AdjustGamma",
        "Rerange",
        "RGB2Gray",
        "RandomCutOut",
        "RandomRotate",
        "RandomDepthMix",
        "ColorJitter",
        "ConcatCDInput",
        "LoadMultipleRSImageFromFile",
        "LoadSingleRSImageFromFile",
    }
)
"""Transforms that leave the size of an image as it is (mmsegmentation 1.2.2, datasets/transforms)."""

_RESHAPING: Final = re.compile("Crop|D4|Lambda|Mosaic|Pad|RandomScale|Rotate90|[Ss]iz|Symmetry|Transpose")
"""In the names of albumentations' transforms that may change the size of an image."""


def keeps_size(node: Node) -> bool:
    """Whether a transform leaves the size of every image as it is; Albu, if all of its transforms do."""
    if node.type != "Albu":
        return node.type in _SAME_SIZE
    inner = node.get("transforms")
    return inner is not None and not any(part.is_opaque or _RESHAPING.search(part.type or "") for part in inner.walk())


def final_size(transforms: tuple[Node, ...]) -> Size | None:
    """What a pipeline makes of an image's size; None where a transform is not known."""
    size = Size(None, None, False, None)
    for node in transforms:
        kind = node.type
        if keeps_size(node):
            continue
        if kind == "Resize":
            size = _resized(node)
        elif kind in ("RandomResize", "RandomChoiceResize", "ResizeShortestEdge", "ResizeToMultiple"):
            size = Size(None, None, False, node)
        elif kind == "RandomCrop":
            height, width = _pair(node.value.get("crop_size"))
            if height is None:
                return None
            # an image that is smaller than the crop stays smaller
            size = Size(height, width, size.is_fixed, node)
        elif kind == "Pad":
            height, width = _pair(node.value.get("size"))
            size = Size(height, width, height is not None, node)
        else:
            return None
    return size


def _resized(node: Node) -> Size:
    width, height = _pair(node.value.get("scale"))
    if node.value.get("keep_ratio", False) is False and width is not None:
        return Size(height, width, True, node)
    return Size(None, None, False, node)


def _pair(value: Any) -> tuple[int | None, int | None]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(item) is int for item in value):
        return value[0], value[1]
    return None, None


def pair(value: Any) -> tuple[int, int] | None:
    """Two whole numbers out of one or two, or None."""
    first, second = _pair(value)
    if first is None or second is None or first < 1 or second < 1:
        return None
    return first, second


def is_no_pair(value: Any) -> bool:
    """Whether a value is certain not to be two whole numbers, nor one for both."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return pair(value) is None and not any(isinstance(item, Opaque) for item in items)


def loaders_of(config: Lookup) -> Iterator[Loader]:
    """The data loaders that the config sets up, training first."""
    splits: tuple[Split, ...] = ("train", "val", "test")
    for split in splits:
        node = config.section(f"{split}_dataloader")
        if node is not None:
            yield Loader(split, node, config)


def preprocessor_of(config: Lookup) -> Node | None:
    """The data preprocessor: the model's, which goes before the top level's."""
    return config.section("model.data_preprocessor") or config.section("data_preprocessor")


def _leaves(node: Node, config: Lookup, depth: int, outer: Node | None = None) -> Iterator[Dataset]:
    if depth > 20:
        return
    if node.is_list:
        for item in node:
            yield from _leaves(item, config, depth + 1, outer)
        return
    if not node.is_dict:
        return
    wrapped = [inner for key in ("dataset", "datasets") if (inner := node.get(key)) is not None]
    for inner in wrapped:
        yield from _leaves(inner, config, depth + 1, node.get("pipeline") or outer)
    if not wrapped:
        yield Dataset(node, config, outer)
