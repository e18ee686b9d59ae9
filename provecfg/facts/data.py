"""Data loaders, the datasets in them, and what becomes of an image on its way through a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from provecfg.mmconfig import Node

if TYPE_CHECKING:
    from provecfg.facts.facts import Facts

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

ZERO_LABEL_REDUCED: Final = frozenset(
    {"ADE20KDataset", "ISPRSDataset", "LoveDADataset", "PascalContextDataset59", "PotsdamDataset"}
)
"""Datasets whose `reduce_zero_label` is True unless said otherwise (the same files)."""


@dataclass(frozen=True)
class Loader:
    """One data loader.

    Args:
        which: `train`, `val` or `test`.
        node: Its dict.
        facts: The config's.
    """

    which: Literal["train", "val", "test"]
    node: Node
    facts: Facts

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets at the bottom of it: wrappers are looked through."""
        node = self.node.get("dataset")
        return tuple(_leaves(node, self.facts, 0)) if node is not None else ()

    @cached_property
    def batch_size(self) -> int | None:
        value = self.node.value.get("batch_size")
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Dataset:
    """One dataset that is not a wrapper."""

    node: Node
    facts: Facts
    outer_pipeline: Node | None = None
    """The pipeline of a wrapper around it, which runs after its own."""

    @cached_property
    def kind(self) -> str:
        return self.node.type or ""

    @cached_property
    def transforms(self) -> tuple[Node, ...]:
        """Its pipeline's dicts."""
        node = self.node.get("pipeline")
        inner = tuple(one for one in node if one.is_dict) if node is not None and node.is_list else ()
        outer = self.outer_pipeline
        return inner + (tuple(one for one in outer if one.is_dict) if outer is not None and outer.is_list else ())

    def transform(self, *kinds: str) -> Node | None:
        return next((one for one in self.transforms if one.type in kinds), None)

    @cached_property
    def classes(self) -> int | None:
        """How many classes it has: its `metainfo`'s, else those of mmseg's class of this name."""
        given = self.node.dig("metainfo.classes")
        if given is not None:
            return len(given.value) if given.is_list else None
        if self.node.dig("metainfo") is not None and not isinstance(self.node.value["metainfo"], dict):
            return None
        return DATASET_CLASSES.get(self.kind)

    @cached_property
    def reduces_zero_label(self) -> bool | None:
        value = self.facts.value(self.node, "reduce_zero_label", self.kind in ZERO_LABEL_REDUCED)
        return value if isinstance(value, bool) else None


@dataclass(frozen=True)
class Size:
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
        "Albu",
        "ConcatCDInput",
        "LoadMultipleRSImageFromFile",
        "LoadSingleRSImageFromFile",
    }
)
"""Transforms that leave the size of an image as it is (mmsegmentation 1.2.2, datasets/transforms)."""


def final_size(transforms: tuple[Node, ...]) -> Size | None:
    """What a pipeline makes of an image's size; None where a transform is not known."""
    size = Size(None, None, False, None)
    for node in transforms:
        kind = node.type
        if kind in _SAME_SIZE:
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


def loader(facts: Facts, which: Literal["train", "val", "test"]) -> Loader | None:
    """The loader of a split, or None where the config sets none up."""
    node = facts.section(f"{which}_dataloader")
    return Loader(which, node, facts) if node is not None else None


def _leaves(node: Node, facts: Facts, depth: int, outer: Node | None = None) -> Iterator[Dataset]:
    if depth > 20:
        return
    if node.is_list:
        for one in node:
            yield from _leaves(one, facts, depth + 1, outer)
        return
    if not node.is_dict:
        return
    inner = [found for key in ("dataset", "datasets") if (found := node.get(key)) is not None]
    for one in inner:
        yield from _leaves(one, facts, depth + 1, node.get("pipeline") or outer)
    if not inner:
        yield Dataset(node, facts, outer)
