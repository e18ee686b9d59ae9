"""Surprises of inheritance: what a config sets and its bases have already used, or what of them it keeps."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.mmconfig import Layer, Node, Opaque
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT
from provecfg.registry.layout import TOP_LEVEL
from provecfg.rules.rule import Mark, rule


@rule("CFG030", Severity.WARNING)
def base_variable_redefined(facts: Facts) -> Iterator[Mark]:
    """A variable of a base is set anew, and the base has already used it.

    Why it matters: a base's dicts are built before the config that inherits from it runs. `crop_size = (640, 640)` in
    the child changes the variable, and neither the pipelines nor the data preprocessor that were made from it.

    Bad:
        _base_ = 'base.py'
        crop_size = (640, 640)
        base.py:
        crop_size = (512, 512)
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=crop_size))

    Good:
        _base_ = 'base.py'
        crop_size = (640, 640)
        model = dict(data_preprocessor=dict(size=crop_size))
        base.py:
        crop_size = (512, 512)
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=crop_size))

    Source: mmengine 0.10.7, config/config.py, `_file2dict`; mmdetection issue 10891.
    """
    layers = facts.view.layers
    for index, layer in enumerate(layers[:-1]):
        for name in layer.values:
            if name in TOP_LEVEL or name in layer.reads or not isinstance(name, str):
                continue
            used = next(
                (
                    base
                    for base in layers[index + 1 :]
                    if name in base.values and name in base.reads and not _same(base.values[name], layer.values[name])
                ),
                None,
            )
            if used is None or any(_reads_base(above.source.text, name) for above in layers[:index]):
                continue
            node = Node(layer.values[name], layer.root, name)
            yield Mark(
                node,
                f"{name} is set here, after {used.file.name} has used its own",
                f"set what was made of it: in {used.file.name}, line {_line(used.reads[name])}",
                at_key=True,
            )


def _same(value: Any, other_value: Any) -> bool:
    return isinstance(value, Opaque) or isinstance(other_value, Opaque) or bool(value == other_value)


def _reads_base(text: str, name: str) -> bool:
    return re.search(rf"_base_\.{re.escape(name)}\b", text) is not None


def _line(places: list[Any]) -> int:
    return int(places[0][0])


_STRUCTURAL: Final = frozenset(
    {"type", "num_classes", "in_channels", "channels", "norm_cfg", "dataset", "pipeline", "loss_weight"}
)
_JUDGED: Final = ("loss_decode", "loss_cls", "loss_mask", "loss_dice", "optimizer")
_JUDGED_SECTIONS: Final = ("model", "optim_wrapper")


def _outlived_by_keys(facts: Facts, base: Layer) -> bool:
    """Whether another `type` stands in the config where a base gives a loss or an optimizer one."""
    cache = facts.class_cache
    for section in _JUDGED_SECTIONS:
        question = (_judged_types, section, cache.contents.number(base.values.get(section)))
        for key, named in cache.known(question, functools.partial(_judged_types, base, section)):
            node = facts.get(key)
            if node is not None and node.type != named:
                return True
    return False


def _judged_types(base: Layer, section: str) -> tuple[tuple[str, str], ...]:
    """The dotted path and the `type` of each loss and optimizer of a base's section."""
    top = base.root.get(section)
    return tuple(
        (node.key, named)
        for node in (top.walk() if top is not None else ())
        if (named := node.type) is not None and any(slot in node.key for slot in _JUDGED)
    )


@rule("CFG031", Severity.ERROR)
def keys_outlive_type(facts: Facts) -> Iterator[Mark]:
    """A child changes the `type` of a loss or an optimizer, and keeps the base's arguments.

    Why it matters: dicts are merged key by key. What the base said about the other class holds for the new one too,
    where it has an argument of that name: a LovaszLoss gets the cross-entropy's class weights, though nobody gave it
    any.

    Bad:
        _base_ = 'base.py'
        model = dict(decode_head=dict(loss_decode=dict(type='LovaszLoss', per_image=True)))
        base.py:
        model = dict(decode_head=dict(num_classes=2, loss_decode=dict(type='TverskyLoss', class_weight=[1.0, 2.0])))

    Good:
        _base_ = 'base.py'
        model = dict(decode_head=dict(loss_decode=dict(_delete_=True, type='LovaszLoss', per_image=True)))
        base.py:
        model = dict(decode_head=dict(num_classes=2, loss_decode=dict(type='TverskyLoss', class_weight=[1.0, 2.0])))

    Known problems: arguments that agree with the new class's defaults are not mentioned, nor are those of whole heads
    and backbones, where keeping them is the point of inheriting; nor is `loss_weight`, which weighs whatever loss
    stands in its place.

    Source: mmengine 0.10.7, config/config.py, `_merge_a_into_b`; mmcv issue 968.
    """
    layers = facts.view.layers
    if not any(_outlived_by_keys(facts, layer) for layer in layers[1:]):
        return
    judged = [typed for section in _JUDGED_SECTIONS for typed in facts.typed_in(section) if typed.slot in _JUDGED]
    for typed in judged:
        node = typed.node
        type_node = node.get("type")
        origin = type_node.origin if type_node is not None else None
        if type_node is None or origin is None:
            continue
        index = next((at for at, layer in enumerate(layers) if layer.file == origin.source.path), len(layers))
        below = layers[index + 1 :]
        files = {layer.file for layer in below}
        was = next((old for layer in below if (old := layer.root.dig(node.key)) is not None and old.type), None)
        if was is None or was.type == node.type:
            continue
        info = facts.class_of(node, typed.registry)
        if info is None:
            continue
        kept = []
        for child in node:
            theirs = child.origin
            parameter = info.parameters.get(child.name)
            if child.name in _STRUCTURAL or theirs is None or theirs.source.path not in files:
                continue
            if parameter is None:
                continue  # REG002 or REG003
            if parameter.default in (REQUIRED, UNKNOWN_DEFAULT) or parameter.default != child.value:
                kept.append(child.name)
        if kept:
            yield Mark(
                type_node,
                f"{node.type} keeps {', '.join(kept)} of the base's {was.type}",
                "add _delete_=True, or say what it should have",
            )


@rule("CFG032", Severity.WARNING)
def hooks_replaced(facts: Facts) -> Iterator[Mark]:
    """The list of custom hooks replaces the base's.

    Why it matters: lists are not merged. A hook of the base (EMA, say) that the child does not repeat is gone.

    Bad:
        _base_ = 'base.py'
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]
        base.py:
        custom_hooks = [dict(type='EMAHook')]

    Good:
        _base_ = 'base.py'
        custom_hooks = [
            dict(type='EMAHook'),
            dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater'),
        ]
        base.py:
        custom_hooks = [dict(type='EMAHook')]

    Source: mmengine 0.10.7, config/config.py, `_merge_a_into_b`.
    """
    node = facts.get("custom_hooks")
    if node is None or not node.is_list or not node.value:
        return  # an empty list says what it does
    here = node.file
    own = [hook.type for hook in node if hook.is_dict]
    lost: list[str] = []
    for layer in facts.view.layers:
        theirs = layer.values.get("custom_hooks")
        if layer.file == here or not isinstance(theirs, (list, tuple)):
            continue
        lost += [
            kind for hook in layer.root.get("custom_hooks") or () if (kind := hook.type) and kind not in [*own, *lost]
        ]
    if lost:
        yield Mark(
            node,
            f"this list replaces the base's: {', '.join(lost)} {'is' if len(lost) == 1 else 'are'} gone",
            "repeat them here, or write _base_.custom_hooks + [...]",
        )
