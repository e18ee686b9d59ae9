"""The losses that a head lists: whether it can call them, how they are logged, and what the total lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.model import Loss
from provecfg.findings import Severity
from provecfg.rules.edits import argument_set, fix, put, removed
from provecfg.rules.rule import Mark, rule


@rule("LOSS001", Severity.ERROR)
def name_without_loss(facts: Facts) -> Iterator[Mark]:
    """The loss is logged and never trained on: its name does not contain "loss".

    Why it matters: mmengine sums the logged values whose key contains "loss" and back-propagates the sum. Under another
    name a loss is computed, shown in the log, and left out. If no loss of the model is left, training fails at its
    first iteration; if only an auxiliary head's are gone, its parameters get no gradient, and a distributed run stops
    at the second iteration because of them.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_name='ce')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_name='loss_ce')))

    Source: mmengine 0.10.7, model/base_model/base_model.py, `parse_losses`.
    """
    for loss in facts.losses:
        name = loss.get("loss_name")
        if isinstance(name, str) and "loss" not in name:
            better = f"loss_{name}"
            yield Mark(
                loss.at("loss_name"),
                f"loss name {name!r} does not contain 'loss': the loss is logged and never trained on",
                f"name it {better!r}",
                argument_set(loss, "loss_name", better, f"name it {better!r}, so that it is trained on", safe=False),
            )


@rule("LOSS002", Severity.WARNING)
def same_loss_name(facts: Facts) -> Iterator[Mark]:
    """Two losses of one head have the same name.

    Why it matters: the head adds their values under the one key, so the log shows neither. The total is right, unless
    one of them has `reduction='none'`: then a map and a number are added.

    Bad:
        model = dict(
            decode_head=dict(
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='TverskyLoss', loss_name='loss_ce'),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='TverskyLoss', loss_name='loss_tversky'),
                ]))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `loss_by_feat`.
    """
    for head in facts.heads:
        seen: dict[str, Loss] = {}
        taken = {name for loss in head.losses if isinstance(name := loss.get("loss_name"), str)}
        for loss in head.losses:
            name = loss.get("loss_name")
            if not isinstance(name, str):
                continue
            first = seen.setdefault(name, loss)
            if first is loss:
                continue
            info = facts.class_of(loss.node)
            parameter = info.parameters.get("loss_name") if info is not None else None
            own = parameter.default if parameter is not None and isinstance(parameter.default, str) else ""
            free = own if own and own not in taken else f"{name}_2"
            yield Mark(
                loss.at("loss_name"),
                f"{name!r} is the name of {first.node.key} too: their values are added under one key of the log",
                f"give it a name of its own that contains 'loss', such as {free!r}",
                argument_set(loss, "loss_name", free, f"name it {free!r}", safe=False),
            )


@rule("LOSS021", Severity.ERROR)
def mask_loss_in_head(facts: Facts) -> Iterator[Mark]:
    """`use_mask` is for mask heads of instance segmentation.

    Why it matters: the loss then expects one mask an object, and fails at the first iteration ("BCE loss does not
    support ignore_index").

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', use_mask=True)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `mask_cross_entropy`.
    """
    for loss in facts.losses_of("CrossEntropyLoss"):
        if loss.get("use_mask") is True:
            node = loss.at("use_mask")
            yield Mark(
                node,
                "use_mask=True does not work in a segmentation head",
                "drop it, or set use_sigmoid=True for one sigmoid a class",
                fix("drop use_mask", removed(node), safe=False) if not loss.is_default else None,
            )


@rule("LOSS025", Severity.ERROR)
def loss_not_callable_by_head(facts: Facts) -> Iterator[Mark]:
    """The head cannot call this loss.

    Why it matters: heads call each of their losses with `weight` and `ignore_index`. BoundaryLoss, OhemCrossEntropy and
    others, made for one special head, take neither: TypeError at the first iteration.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='OhemCrossEntropy')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `loss_by_feat`.
    """
    for loss in facts.losses:
        info = None if loss.is_default else facts.class_of(loss.node)
        forward = info.forward if info is not None else None
        if forward is None or info is None or not (loss.head.kind or loss.kind in _CALLED_OTHERWISE):
            continue
        head = facts.class_of(loss.head.node)
        if head is not None and head.is_of_user:
            continue  # it may call its losses as it likes
        takes_all = any(parameter.kind.name == "VAR_KEYWORD" for parameter in forward.values())
        lacking = [name for name in ("weight", "ignore_index") if name not in forward and not takes_all]
        if lacking:
            yield Mark(
                loss.at("type"),
                f"{loss.kind} does not take {' and '.join(lacking)}, which {loss.head.kind or 'the head'} gives it",
                "it belongs to a special head (PIDHead, DDRHead); use CrossEntropyLoss, with sampler="
                "dict(type='OHEMPixelSampler') for hard pixels",
            )
        elif info.has_loss_name is False:
            yield Mark(
                loss.at("type"),
                f"{loss.kind} has no loss_name, which {loss.head.kind or 'the head'} reads: AttributeError",
                "use one of mmseg's losses, or give the class a loss_name property",
            )


_CALLED_OTHERWISE: Final = frozenset({"BoundaryLoss", "OhemCrossEntropy", "SiLogLoss", "KLDivLoss"})


@rule("LOSS028", Severity.ERROR)
def no_loss_at_all(facts: Facts) -> Iterator[Mark]:
    """The head has an empty list of losses.

    Why it matters: it is not trained. If no other head has a loss, the first iteration fails; otherwise a distributed
    run stops at the second one, because parameters of this head got no gradient.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=[]))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=[dict(type='CrossEntropyLoss', loss_weight=0.4)]))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py; mmsegmentation issue 3737.
    """
    for head in facts.heads:
        node = head.node.get("loss_decode")
        if node is not None and node.is_list and not node.value and head.calls_losses_plainly and not head.is_mask_head:
            yield Mark(node, "an empty list of losses: this head is not trained", "give it a loss, or leave it out")


_NATIVE_NAME: Final = re.compile(r"(d\d+\.)?loss_(cls|mask|dice)")
"""Keys under which the set losses are logged, one for each decoder layer."""


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
    for head in facts.heads:
        if not head.adds_pixel_losses:
            continue
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
            renaming = fix(f"name it {free!r}", put(loss.node, "loss_name", free), safe=False)
            yield Mark(loss.at("loss_name"), message, f"set loss_name={free!r}", renaming)
