"""provecfg's own Mask2Former head, which adds losses on pixels to the set losses: what it refuses when it is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.model import Head, Loss
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, put, removed
from provecfg.rules.rule import Mark, rule

_HEAD: Final = "Mask2FormerPixelLossHead"
_NATIVE_NAME: Final = re.compile(r"(d\d+\.)?loss_(cls|mask|dice)")
"""Keys under which the set losses are logged, one for each decoder layer."""


def _heads(facts: Facts) -> Iterator[Head]:
    return (head for head in facts.heads if head.kind == _HEAD)


@rule("LOSS029", Severity.ERROR)
def loss_name_of_mask_head(facts: Facts) -> Iterator[Mark]:
    """A pixel loss of a Mask2Former head has the name of another of its losses.

    Why it matters: ValueError when the head is built: one of the two would be lost under the other's key. The set
    losses are named loss_cls, loss_mask and loss_dice.

    Bad:
        custom_imports = dict(imports=['provecfg.plugin'])
        model = dict(
            decode_head=dict(
                type='Mask2FormerPixelLossHead',
                num_classes=19,
                loss_decode=[dict(type='SegDiceLoss', loss_name='loss_dice')]))

    Good:
        custom_imports = dict(imports=['provecfg.plugin'])
        model = dict(
            decode_head=dict(
                type='Mask2FormerPixelLossHead',
                num_classes=19,
                loss_decode=[dict(type='SegDiceLoss', loss_name='loss_seg_dice')]))

    Source: provecfg.plugin.heads.mask2former_pixel_loss_head.
    """
    for head in _heads(facts):
        seen: dict[str, Loss] = {}
        for loss in head.losses:
            name = loss.get("loss_name")
            if not isinstance(name, str):
                continue
            if _NATIVE_NAME.fullmatch(name):
                free = name.replace("loss_", "loss_pixel_")
                message = f"{name!r} is the name of one of the head's own losses"
            elif seen.setdefault(name, loss) is not loss:
                free = f"{name}_2"
                message = f"{name!r} is the name of {seen[name].node.key} too"
            else:
                continue
            renaming = fix(f"name it {free!r}", put(loss.node, "loss_name", free), safe=True)
            yield Mark(loss.at("loss_name"), message, f"set loss_name={free!r}", renaming)


@rule("HEAD025", Severity.ERROR)
def argument_of_pixel_loss_head(facts: Facts) -> Iterator[Mark]:
    """Mask2FormerPixelLossHead does not take this argument.

    Why it matters: TypeError when the head is built; mmseg's Mask2FormerHead takes such arguments and drops them. There
    is no `sampler`, since its losses are of all pixels.

    Bad:
        custom_imports = dict(imports=['provecfg.plugin'])
        model = dict(
            decode_head=dict(
                type='Mask2FormerPixelLossHead', num_classes=19, loss_decode=[], sampler=dict(type='OHEMPixelSampler')))

    Good:
        custom_imports = dict(imports=['provecfg.plugin'])
        model = dict(decode_head=dict(type='Mask2FormerPixelLossHead', num_classes=19, loss_decode=[]))

    Source: provecfg.plugin.heads.mask2former_pixel_loss_head.
    """
    native = facts.registry.find("Mask2FormerHead", "model")
    if native is None:
        return
    for head in _heads(facts):
        for key in head.node.value:
            if key not in native.parameters and key not in ("type", "_scope_", "loss_decode", "strides"):
                node = Node(head.node.value[key], head.node, key)
                near = native.nearest(key)
                hint = f"did you mean {near[0]!r}?" if near else "leave it out"
                repair = fix(f"drop {key!r}", removed(node), safe=False)
                yield Mark(node, f"{_HEAD} does not take {key!r}", hint, repair, at_key=True)
