"""The features that heads see: which of the backbone's, of how many channels, and how many are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.model import Head
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.rules.edits import fix, put, replaced
from provecfg.rules.rule import Mark, rule


def _indices(head: Head) -> tuple[Node, list[int]] | None:
    value = head.get("in_index")
    values = [value] if isinstance(value, int) else list(value) if isinstance(value, (list, tuple)) else []
    if not values or not all(isinstance(item, int) and not isinstance(item, bool) for item in values):
        return None
    return head.at("in_index"), values


@rule("HEAD014", Severity.ERROR)
def input_index_out_of_range(facts: Facts) -> Iterator[Mark]:
    """The head asks for a feature map that backbone or neck do not give.

    Why it matters: IndexError at the first iteration.

    Bad:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=50, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=2048, in_index=4))

    Good:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=50, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=2048, in_index=3))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `_transform_inputs`.
    """
    features = facts.feature_channels
    if features is None:
        return
    for head in facts.heads:
        in_index = _indices(head)
        if in_index is None or head.is_mask_head:
            continue
        node, indices = in_index
        beyond = [index for index in indices if not -len(features) <= index < len(features)]
        if beyond:
            yield Mark(
                node,
                f"in_index {beyond[0]}, and there are {len(features)} feature maps, 0 to {len(features) - 1}",
                "use one of them, or add a stage to the backbone's out_indices",
            )


@rule("HEAD015", Severity.ERROR)
def input_channels_disagree(facts: Facts) -> Iterator[Mark]:
    """The head expects another number of channels than its feature map has.

    Why it matters: the first convolution fails at the first iteration.

    Bad:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=18, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=2048, in_index=3))

    Good:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=18, out_indices=(0, 1, 2, 3)),
            decode_head=dict(in_channels=512, in_index=3))

    Known problems: judged for ResNets, MobileNetV2, ViT, BEiT, MAE, Swin, Twins, MiT, MSCAN, HRNet, UNet and FPN.

    Source: mmsegmentation 1.2.2, models/backbones.
    """
    features = facts.feature_channels
    if features is None:
        return
    for head in facts.heads:
        in_index, channels = _indices(head), facts.value(head.node, "in_channels")
        if in_index is None or head.is_mask_head or facts.is_unknown_to_release(head.node):
            continue
        wanted = [channels] if isinstance(channels, int) else list(channels) if _is_list(channels) else []
        indices = in_index[1]
        if len(wanted) != len(indices) or not all(-len(features) <= index < len(features) for index in indices):
            continue
        for index, asked in zip(indices, wanted, strict=True):
            actual = features[index]
            if actual is not None and isinstance(asked, int) and actual != asked:
                right = [features[each] or "?" for each in indices] if _is_list(channels) else actual
                node = head.at("in_channels")
                yield Mark(
                    node,
                    f"in_channels {asked}, and feature map {index} has {actual}",
                    f"write {right}",
                    fix(f"write {actual}", replaced(node, actual), safe=False) if isinstance(channels, int) else None,
                )
                break


_COLOURS: Final = 3


@rule("HEAD030", Severity.ERROR)
def backbone_expects_other_channels(facts: Facts) -> Iterator[Mark]:
    """The backbone expects another number of channels than the images have.

    Why it matters: LoadImageFromFile loads three, unless it is told otherwise; the backbone's first convolution fails
    at the first iteration.

    Bad:
        model = dict(
            type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=18, in_channels=4),
            decode_head=dict(type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=19))
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Good:
        model = dict(
            type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=18, in_channels=3),
            decode_head=dict(type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=19))
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Known problems: judged where dataset and data preprocessor are mmseg's, and every transform is known to leave the
    channels as they are.

    Source: mmcv 2.1.0, transforms/loading.py, `LoadImageFromFile`; mmsegmentation 1.2.2, models/backbones.
    """
    backbone, train = facts.section("model.backbone"), facts.loader("train")
    parts = [facts.segmentor, facts.class_of(backbone)]
    if backbone is None or train is None or any(info is None or not info.dotted.startswith("mmseg.") for info in parts):
        return
    if facts.preprocessor is not None and facts.preprocessor.type != "SegDataPreProcessor":
        return  # it may add channels
    channels = facts.argument(backbone, "in_channels")
    are_coloured = train.datasets and all(dataset.image_channels == _COLOURS for dataset in train.datasets)
    if type(channels) is int and channels != _COLOURS and are_coloured:
        yield Mark(
            backbone.get("in_channels") or backbone,
            f"the backbone expects {channels} channels, and LoadImageFromFile loads {_COLOURS}",
            f"write {_COLOURS}, or load the images another way",
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _takes_inputs_itself(info: ClassInfo) -> bool:
    """Whether a class of the user's makes of its inputs what it likes before the head's own constructor sees them."""
    names = ("in_channels", "in_index", "input_transform")
    own = {record.dotted for record in info.ancestors if record is not None and record.file is not None}
    return any(name in info.parameters and info.parameters[name].origin in own for name in names) or (
        info.is_of_user and info.may_replace("_init_inputs")
    )


@rule("HEAD016", Severity.ERROR)
def input_transform_disagrees(facts: Facts) -> Iterator[Mark]:
    """Several inputs need an `input_transform`, and one input none.

    Why it matters: without a transform the head takes one feature map, and `in_channels` and `in_index` have to be
    numbers; with one they have to be lists of equal length. Anything else is a bare AssertionError when the model is
    built.

    Bad:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(in_channels=[64, 128], in_index=[0, 1]))

    Good:
        model = dict(
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(in_channels=[64, 128], in_index=[0, 1], input_transform='resize_concat'))

    Known problems: a head of one's own that takes these arguments itself, or checks them its own way, is left alone.

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `_init_inputs`.
    """
    for head in facts.heads:
        channels, index = facts.value(head.node, "in_channels"), head.get("in_index")
        if head.is_mask_head or channels is None:
            continue
        lists = _is_list(channels), _is_list(index)
        sizes = isinstance(channels, (int, list, tuple)) and isinstance(index, (int, list, tuple))
        info = facts.class_of(head.node)
        if head.kind and (info is None or not info.is_a("BaseDecodeHead") or _takes_inputs_itself(info)):
            continue
        if info is None or "input_transform" in info.parameters:
            transform = facts.value(head.node, "input_transform")
            if transform is None and lists[0]:
                yield Mark(
                    head.node.get("input_transform") or head.at("in_channels"),
                    "several in_channels without an input_transform",
                    "set input_transform='resize_concat' (or 'multiple_select' where the head takes a list)",
                    fix(
                        "concatenate the resized inputs",
                        put(head.node, "input_transform", "resize_concat"),
                        safe=False,
                    ),
                )
                continue
            if isinstance(transform, str) and transform not in ("resize_concat", "multiple_select"):
                yield Mark(
                    head.at("input_transform"), f"no input_transform {transform!r}", "use 'resize_concat' or None"
                )
                continue
            if isinstance(transform, str) and sizes and isinstance(channels, int):
                yield Mark(
                    head.at("in_channels"),
                    f"input_transform={transform!r} takes a list of in_channels, not {channels}",
                    "drop input_transform, or give lists",
                )
                continue
        if all(lists) and len(channels) != len(index):
            yield Mark(
                head.at("in_index"),
                f"{len(index)} in_index for {len(channels)} in_channels",
                "give one index for each number of channels",
            )
        elif sizes and lists[0] is not lists[1]:
            yield Mark(
                head.at("in_channels"),
                f"in_channels is {channels} and in_index {index}: both are numbers, or both lists",
                "give one number of channels for each index",
            )


@rule("HEAD017", Severity.ERROR)
def cascade_stages(facts: Facts) -> Iterator[Mark]:
    """A cascade has another number of stages than heads.

    Why it matters: a bare AssertionError when the model is built.

    Bad:
        model = dict(
            type='CascadeEncoderDecoder',
            num_stages=3,
            backbone=dict(),
            decode_head=[dict(num_classes=4), dict(num_classes=4)])

    Good:
        model = dict(
            type='CascadeEncoderDecoder',
            num_stages=2,
            backbone=dict(),
            decode_head=[dict(num_classes=4), dict(num_classes=4)])

    Source: mmsegmentation 1.2.2, models/segmentors/cascade_encoder_decoder.py, `_init_decode_head`.
    """
    stages, heads = facts.of_model("num_stages"), facts.get("model.decode_head")
    if stages is None or not isinstance(stages.value, int) or heads is None:
        return
    count = len(heads.value) if heads.is_list else None
    if heads.is_dict or (count is not None and count != stages.value):
        yield Mark(
            stages,
            f"num_stages={stages.value}, and decode_head is {'one head' if count is None else f'a list of {count}'}",
            f"set num_stages={count}" if count else "give a list of heads",
            fix(f"set num_stages={count}", replaced(stages, count), safe=False) if count else None,
        )


@rule("HEAD028", Severity.ERROR)
def heads_without_cascade(facts: Facts) -> Iterator[Mark]:
    """A list of decode heads is given to a segmentor that has one.

    Why it matters: it becomes one module of all of them, which has none of a head's attributes: AttributeError when the
    model is built. A cascade has several.

    Bad:
        model = dict(type='EncoderDecoder', decode_head=[
            dict(type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=4)])

    Good:
        model = dict(type='EncoderDecoder', decode_head=dict(
            type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=4))

    Source: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py, `_init_decode_head`.
    """
    info, heads = facts.segmentor, facts.of_model("decode_head")
    if heads is None or info is None or not heads.is_list or not info.is_a("EncoderDecoder") or info.is_of_user:
        return
    if not info.is_a("CascadeEncoderDecoder"):
        yield Mark(heads, f"{info.type_name} has one decode head, not a list of {len(heads.value)}", "give one dict")


@rule("HEAD027", Severity.ERROR)
def everything_dropped_out(facts: Facts) -> Iterator[Mark]:
    """The head drops out all of its features, or a share that there is not.

    Why it matters: at 1 the classifier sees zeros, trains one bias a class, and hands no gradient to the backbone;
    above it, torch refuses to build the layer. The ratio is a fraction, and not a percentage.

    Bad:
        model = dict(decode_head=dict(num_classes=2, dropout_ratio=1.0))

    Good:
        model = dict(decode_head=dict(num_classes=2, dropout_ratio=0.1))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `__init__`; torch 2.4, nn/modules/dropout.py.
    """
    for head in facts.heads:
        node = head.node.get("dropout_ratio")
        ratio = number(node.value) if node is not None else None
        if node is not None and ratio is not None and ratio >= 1:
            yield Mark(node, f"dropout_ratio is {ratio:g}, and a share below 1 is asked for", "0.1 is usual")
