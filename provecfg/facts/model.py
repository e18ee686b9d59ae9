"""Heads and their losses, with the values that they will really have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from provecfg.facts.numbers import count
from provecfg.facts.unknown import UNKNOWN, kind_of
from provecfg.mmconfig import Node

if TYPE_CHECKING:
    from provecfg.facts.facts import Facts

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
"""Heads that inherit from one of the above, and call `loss_decode` as BaseDecodeHead does all the same."""

_HEAD_DEFAULTS: Final[dict[str, Any]] = {"ignore_index": 255}
"""What BaseDecodeHead takes where a fragment does not say which head it is (mmsegmentation 1.2.2)."""

SOFTMAX_LOSSES: Final = frozenset({"TverskyLoss", "HuasdorffDisstanceLoss", "SoftmaxFocalLoss", "OhemCrossEntropy"})
"""Losses that take the softmax over the channels, whatever their arguments."""


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
        """The name of an mmseg loss, `scope.Name` for one of another scope, '' if it is not said."""
        return kind_of(self.values.get("type"))

    def get(self, name: str) -> Any:
        """What it is given, or its default, or UNKNOWN."""
        if self.is_default:
            return self.values.get(name, UNKNOWN)
        return self.head.facts.argument(self.node, name)

    def at(self, name: str) -> Node:
        """The node of an argument, or that of the loss where it is not given."""
        return self.node.get(name) or self.node

    @cached_property
    def is_softmax(self) -> bool | None:
        """Whether it takes the softmax over the channels; None if that is not known."""
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
        facts: The config's.
    """

    node: Node
    role: Literal["decode", "auxiliary"]
    index: int | None
    facts: Facts

    @cached_property
    def kind(self) -> str:
        """As for a loss."""
        return kind_of(self.node.value.get("type"))

    def get(self, name: str) -> Any:
        """What it is given, or its default, or UNKNOWN."""
        found = self.facts.argument(self.node, name)
        if not isinstance(self.node.value.get("type"), str) and name not in self.node.value:
            return _HEAD_DEFAULTS.get(name, found)
        return found

    def at(self, name: str) -> Node:
        return self.node.get(name) or self.node

    @cached_property
    def calls_losses_plainly(self) -> bool:
        """Whether it calls each of `loss_decode` with prediction, label, weight and ignore_index."""
        if not self.kind or self.kind in CALLS_PLAINLY:
            return True
        known = self.facts.class_of(self.node)
        if known is None or any(known.is_a(name) for name in CALLS_PLAINLY):
            return known is not None
        return known.is_a("BaseDecodeHead") and not any(known.is_a(name) for name in OWN_LOSS_CALLS)

    @cached_property
    def is_mask_head(self) -> bool:
        """Whether it is trained on sets of masks, as Mask2Former's is."""
        known = self.facts.class_of(self.node)
        if known is None:
            return self.kind in CALLS_PLAINLY
        return known.is_a("Mask2FormerHead") or known.is_a("MaskFormerHead")

    @cached_property
    def num_classes(self) -> int | None:
        return count(self.get("num_classes"))

    @cached_property
    def out_channels(self) -> int | None:
        """Channels of its prediction: `out_channels`, else one a class. None for heads that mean other things by it."""
        if self.is_mask_head or (self.kind and self.facts.class_of(self.node) is None):
            return None
        given = self.facts.value(self.node, "out_channels")
        if given is None:
            return self.num_classes
        return count(given)

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """Its `loss_decode`; empty where they are not called plainly."""
        if not self.calls_losses_plainly:
            return ()
        node = self.node.get("loss_decode")
        if node is None:
            default = self.facts.argument(self.node, "loss_decode") if self.kind else None
            return (Loss(self.node, self, dict(default)),) if isinstance(default, dict) else ()
        nodes = [node] if node.is_dict else list(node)
        return tuple(Loss(one, self, one.value) for one in nodes if one.is_dict)


def all_losses(facts: Facts) -> Iterator[Loss]:
    """Every loss that a `loss_decode` lists, whether its head calls it plainly or in its own way."""
    for head in facts.heads:
        inner = head.node.get("kernel_generate_head")  # K-Net's
        for holder in (head, Head(inner, head.role, None, facts)) if inner is not None and inner.is_dict else (head,):
            node = holder.node.get("loss_decode")
            for one in [] if node is None else [node] if node.is_dict else list(node):
                if one.is_dict:
                    yield Loss(one, holder, one.value)


def heads_of(facts: Facts) -> Iterator[Head]:
    """The heads of the config's model."""
    model = facts.model
    if model is None:
        return
    roles: tuple[tuple[str, Literal["decode", "auxiliary"]], ...] = (
        ("decode_head", "decode"),
        ("auxiliary_head", "auxiliary"),
    )
    for key, role in roles:
        node = model.get(key)
        if node is None:
            continue
        if node.is_dict:
            yield Head(node, role, None, facts)
        elif node.is_list:
            yield from (Head(one, role, int(one.step), facts) for one in node if one.is_dict)
