"""Heads and their losses, with the values that they will really have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from provecfg.catalog.losses import PLUGIN_LOSSES, PluginLoss
from provecfg.facts.lookup import UNKNOWN, Lookup, entries, kind_of
from provecfg.facts.numbers import count, number
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo

OWN_LOSS_CALLS: Final = frozenset(
    {
        # mmsegmentation 1.2.2, models/decode_heads: loss_by_feat (or loss) that calls the losses in its own way
        "DDRHead",
        "IterativeDecodeHead",
        "Mask2FormerHead",
        "MaskFormerHead",
        "PIDHead",
        "PointHead",
        "SideAdapterCLIPHead",
        "VPDDepthHead",
    }
)
CALLS_PLAINLY: Final = frozenset({"Mask2FormerPixelLossHead"})
"""Heads that inherit from one of the above, and call `loss_decode` as BaseDecodeHead does all the same: provecfg's own,
which adds losses on pixels to the set losses."""

_CALL_LOSSES: Final = ("loss", "loss_by_feat")
"""Methods of a head that call its losses (mmsegmentation 1.2.2, models/decode_heads/decode_head.py)."""

_HEAD_DEFAULTS: Final[dict[str, Any]] = {"ignore_index": 255}
"""What BaseDecodeHead takes where a fragment does not say which head it is (mmsegmentation 1.2.2)."""

SOFTMAX_LOSSES: Final = frozenset({"TverskyLoss", "HuasdorffDisstanceLoss", "OhemCrossEntropy"})
"""Losses of mmseg's that take the softmax over the channels, whatever their arguments."""


@dataclass(frozen=True)
class Loss:
    """One loss of a head.

    Args:
        node: Its dict; for the loss that a head has by default, the head's.
        head: Whose loss it is.
        values: Its dict.
    """

    node: Node
    head: Head
    values: dict[str, Any]

    @cached_property
    def is_default(self) -> bool:
        """The config does not name it: it is the head's default."""
        return self.values is not self.node.value

    @cached_property
    def kind(self) -> str:
        """The name of an mmseg loss, `scope.Name` for one of another scope, '' if none is set."""
        return kind_of(self.values.get("type"))

    @property
    def plugin(self) -> PluginLoss | None:
        """What it says of itself, for a loss of provecfg's plugin."""
        return PLUGIN_LOSSES.get(self.kind)

    @cached_property
    def wrapped(self) -> Loss | None:
        """The loss that it is made of, as a multi-scale loss is of another."""
        inner = self.node.get("loss") if self.plugin is not None and self.plugin.wraps_loss else None
        return Loss(inner, self.head, inner.value) if inner is not None and inner.is_dict else None

    def get(self, name: str) -> Any:
        """What it is called with: what the config sets, or its default, or UNKNOWN."""
        if self.is_default:
            return self.values.get(name, UNKNOWN)
        return self.head.config.argument(self.node, name)

    def at(self, name: str) -> Node:
        """The node of an argument, or that of the loss where it is not set."""
        return self.node.get(name) or self.node

    @property
    def class_weight(self) -> list[float] | None:
        """The class weights that the config spells out, or None."""
        value = self.get("class_weight")
        if not isinstance(value, (list, tuple)) or not value or any(number(item) is None for item in value):
            return None
        return list(value)

    @cached_property
    def is_softmax(self) -> bool | None:
        """Whether it takes the softmax over the channels; None if that is not known."""
        if self.plugin is not None:  # made for softmax classifiers, all of them
            return True if not self.plugin.wraps_loss else self.wrapped.is_softmax if self.wrapped is not None else None
        if self.kind == "CrossEntropyLoss":
            use_sigmoid, use_mask = self.get("use_sigmoid"), self.get("use_mask")
            if use_sigmoid is True or use_mask is True:
                return False
            return True if use_sigmoid is False else None
        if self.kind == "LovaszLoss":
            return {"multi_class": True, "binary": False}.get(str(self.get("loss_type")))
        if self.kind == "DiceLoss":
            return {True: False, False: True}.get(self.get("use_sigmoid"))
        if self.kind == "FocalLoss":
            return False
        return True if self.kind in SOFTMAX_LOSSES else None


@dataclass(frozen=True)
class Head:
    """One decode or auxiliary head.

    Args:
        node: Its dict.
        role: Which of the two.
        index: Its place in a list of heads, or None.
        config: The config.
    """

    node: Node
    role: Literal["decode", "auxiliary"]
    index: int | None
    config: Lookup

    @cached_property
    def kind(self) -> str:
        """As for a loss."""
        return kind_of(self.node.value.get("type"))

    def get(self, name: str) -> Any:
        """What it is called with: what the config sets, or its default, or UNKNOWN."""
        value = self.config.argument(self.node, name)
        if not isinstance(self.node.value.get("type"), str) and name not in self.node.value:
            return _HEAD_DEFAULTS.get(name, value)
        return value

    def at(self, name: str) -> Node:
        return self.node.get(name) or self.node

    @cached_property
    def calls_losses_plainly(self) -> bool:
        """Whether it calls each of `loss_decode` with prediction, label, weight and ignore_index."""
        if not self.kind or self.kind in CALLS_PLAINLY:
            return True
        info = self.config.class_of(self.node)
        if info is None or any(info.is_a(name) for name in CALLS_PLAINLY):
            return info is not None
        is_plain = info.is_a("BaseDecodeHead") and not any(info.is_a(name) for name in OWN_LOSS_CALLS)
        return is_plain and not self.config.replaces(self.node, *_CALL_LOSSES)

    @cached_property
    def is_mask_head(self) -> bool:
        """Whether it is trained on sets of masks, as Mask2Former's is."""
        info = self.config.class_of(self.node)
        if info is None:
            return self.kind in CALLS_PLAINLY
        return info.is_a("Mask2FormerHead") or info.is_a("MaskFormerHead")

    @property
    def adds_pixel_losses(self) -> bool:
        """Whether it is provecfg's own mask head, which is trained on losses of pixels, too."""
        return self.kind in CALLS_PLAINLY

    @cached_property
    def has_own_outputs(self) -> bool:
        """Whether it, or a loss that it lists, is neither of the supported packages nor of provecfg.

        What its outputs mean, and how many there are, is for that class to say.
        """
        nodes = (self.node, *(loss.node for loss in self.listed_losses))
        infos = [self.config.class_of(node) for node in nodes if node.type is not None]
        return any(info is None or info.is_of_user for info in infos)

    @cached_property
    def num_classes(self) -> int | None:
        return count(self.get("num_classes"))

    @cached_property
    def out_channels(self) -> int | None:
        """Channels of its prediction: `out_channels`, else one a class. None for heads that mean other things by it."""
        info = self.config.class_of(self.node)
        if self.is_mask_head or (self.kind and (info is None or not info.is_a("BaseDecodeHead"))):
            return None
        channels = self.config.value(self.node, "out_channels")
        return self.num_classes if channels is None else count(channels)

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """Its `loss_decode`; empty where they are not called plainly."""
        if not self.calls_losses_plainly:
            return ()
        node = self.node.get("loss_decode")
        if node is None:
            default = self.config.argument(self.node, "loss_decode") if self.kind else None
            return (Loss(self.node, self, dict(default)),) if isinstance(default, dict) else ()
        return tuple(self.listed_losses)

    @property
    def listed_losses(self) -> Iterator[Loss]:
        """What `loss_decode` lists, whether the head calls it plainly or in its own way."""
        for node in entries(self.node.get("loss_decode")):
            if node.is_dict:
                yield Loss(node, self, node.value)


def all_losses(heads: Iterable[Head]) -> Iterator[Loss]:
    """Every loss that these heads list, and those of the heads in them."""
    for head in heads:
        yield from head.listed_losses
        inner = head.node.get("kernel_generate_head")  # K-Net's
        if inner is not None and inner.is_dict:
            yield from Head(inner, head.role, None, head.config).listed_losses


def heads_of(config: Lookup) -> Iterator[Head]:
    """The heads of a model of mmseg's: decode heads, then auxiliary heads."""
    roles: tuple[tuple[str, Literal["decode", "auxiliary"]], ...] = (
        ("decode_head", "decode"),
        ("auxiliary_head", "auxiliary"),
    )
    for key, role in roles:
        node = config.get(f"model.{key}")
        if node is None:
            continue
        if node.is_dict:
            yield Head(node, role, None, config)
        elif node.is_list:
            yield from (Head(item, role, int(item.step), config) for item in node if item.is_dict)


_READ: Final = {
    # mmsegmentation 1.2.2 and 1.4.2, models/segmentors; decode_heads/point_head.py; models/data_preprocessor.py
    ("BaseSegmentor", "test_cfg"): ("mode", "crop_size", "stride"),
    ("PointHead", "train_cfg"): ("num_points", "oversample_ratio", "importance_sample_ratio"),
    ("PointHead", "test_cfg"): ("subdivision_steps", "subdivision_num_points", "scale_factor"),
    ("SegDataPreProcessor", "test_cfg"): ("size", "size_divisor"),
}
"""What a class, or one that inherits from it, reads of the model's `train_cfg` and `test_cfg`, and of its own."""


def settings_read(infos: Iterable[ClassInfo], key: str) -> list[str]:
    """What classes, or those that they inherit from, read of a dict of settings.

    Args:
        infos: The segmentor and its heads, or the data preprocessor.
        key: `train_cfg` or `test_cfg`.
    """
    infos = list(infos)
    return [
        name
        for (owner, of), names in _READ.items()
        if of == key and any(info.is_a(owner) for info in infos)
        for name in names
    ]
