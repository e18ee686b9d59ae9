"""The optimizer and its wrapper: what steps, which parameters, and how far."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.lookup import entries
from provecfg.facts.numbers import number, whole
from provecfg.findings import Severity
from provecfg.mmconfig import DottedName, Node
from provecfg.rules.edits import fix, renamed
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import is_misspelling, nearest_names

PARAMWISE: Final = frozenset(
    {
        # mmengine 0.10.7, optim/optimizer/default_constructor.py
        "custom_keys",
        "bias_lr_mult",
        "bias_decay_mult",
        "norm_decay_mult",
        "dwconv_decay_mult",
        "dcn_offset_lr_mult",
        "flat_decay_mult",
        "bypass_duplicate",
    }
)
GROUP: Final = frozenset({"lr_mult", "decay_mult"})
_MULTIPLIER: Final = "_mult"
_BY_LAYER: Final = frozenset({"num_layers", "decay_rate", "decay_type"})
_CONSTRUCTORS: Final = {
    "DefaultOptimWrapperConstructor": PARAMWISE,
    # mmsegmentation 1.2.2, engine/optimizers/layer_decay_optimizer_constructor.py
    "LearningRateDecayOptimizerConstructor": _BY_LAYER | PARAMWISE,
    "LayerDecayOptimizerConstructor": frozenset({"num_layers", "layer_decay_rate"}) | PARAMWISE,
}


def _paramwise(facts: Facts) -> tuple[Node, frozenset[str]] | None:
    """`paramwise_cfg`, and the keys that the constructor reads; None for a constructor that is not known."""
    wrapper = facts.section("optim_wrapper")
    node = wrapper.get("paramwise_cfg") if wrapper is not None else None
    if wrapper is None or node is None or not node.is_dict:
        return None
    keys = _CONSTRUCTORS.get(str(facts.value(wrapper, "constructor", "DefaultOptimWrapperConstructor")))
    return None if keys is None else (node, keys)


def _is_slip(facts: Facts, name: str) -> bool:
    """Whether a key of a `custom_keys` entry is no option, and is meant for the constructor.

    It looks like one that the constructor reads, or has the ending of a multiplier: the constructor applies those, and
    no optimizer has one.
    """
    optimizer = facts.section("optim_wrapper.optimizer")
    info = facts.class_of(optimizer, "optimizer") if optimizer is not None else None
    options = {*GROUP, *(info.parameters if info is not None else ())}
    is_multiplier = isinstance(name, str) and name.endswith(_MULTIPLIER)
    return name not in options and (is_multiplier or any(is_misspelling(name, option) for option in GROUP))


@rule("RUN002", Severity.WARNING)
def unread_paramwise_key(facts: Facts) -> Iterator[Mark]:
    """Nothing reads this key of `paramwise_cfg`.

    Why it matters: mmengine looks up the keys that it knows and ignores others without a word: every parameter keeps
    the base learning rate and weight decay.

    Bad:
        optim_wrapper = dict(type='OptimWrapper', paramwise_cfg=dict(custom_key={'head': dict(lr_mult=10.0)}))

    Good:
        optim_wrapper = dict(type='OptimWrapper', paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=10.0)}))

    Known problems: every key of a `custom_keys` entry is copied into the parameter group, where an optimizer may read
    it, so that one is reported only if it looks like a slip of `lr_mult` or `decay_mult`, or is a multiplier
    (`wd_mult`), which the constructor alone applies.

    Source: mmengine 0.10.7, optim/optimizer/default_constructor.py, `add_params`; mmsegmentation issue 25.
    """
    declared = _paramwise(facts)
    if declared is None:
        return
    paramwise, keys = declared
    unread = [(node, keys) for node in paramwise if node.name not in keys]
    custom = paramwise.get("custom_keys")
    if custom is not None and custom.is_dict:
        unread += [(node, GROUP) for group in custom if group.is_dict for node in group if _is_slip(facts, node.name)]
    for node, taken in unread:
        # of the two multipliers, one that merely ends alike may be the other: `wd_mult` is no `lr_mult`
        near = [
            name
            for name in nearest_names(node.name, taken, limit=1)
            if taken is not GROUP or is_misspelling(node.name, name)
        ]
        above = node.parent.key.rpartition(".")[2] if node.parent is not None else ""
        yield Mark(
            node,
            f"{above} has no {node.name!r}: it is ignored",
            f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(taken))}",
            fix(f"rename it to {near[0]!r}", renamed(node, near[0]), safe=False) if near else None,
            at_key=True,
        )


_PARTS: Final = ("backbone", "neck", "decode_head", "auxiliary_head")
_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MISNAMED: Final = {
    "aux_head": "auxiliary_head",
    "auxhead": "auxiliary_head",
    "decoder_head": "decode_head",
    "seg_head": "decode_head",
    "segmentation_head": "decode_head",
    # models, which no parameter is named after
    "segformer": "decode_head",
    "segnext": "decode_head",
    "mask2former": "decode_head",
    "deeplabv3": "decode_head",
    "deeplabv3plus": "decode_head",
    "pspnet": "decode_head",
    "upernet": "decode_head",
}


@rule("RUN003", Severity.ERROR)
def custom_key_matches_nothing(facts: Facts) -> Iterator[Mark]:
    """A key of `custom_keys` names a class, and parameters are named after their place.

    Why it matters: a group gets the parameters whose name contains the key. They are called `backbone...`,
    `decode_head...`, `auxiliary_head...` whatever their class. A key that is in none of them changes nothing, without a
    word.

    Bad:
        model = dict(
            type='EncoderDecoder',
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='SegformerHead', in_channels=[64], in_index=[0], channels=64, num_classes=2))
        optim_wrapper = dict(
            type='OptimWrapper', paramwise_cfg=dict(custom_keys={'segformer_head': dict(lr_mult=10.0)}))

    Good:
        model = dict(
            type='EncoderDecoder',
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='SegformerHead', in_channels=[64], in_index=[0], channels=64, num_classes=2))
        optim_wrapper = dict(
            type='OptimWrapper', paramwise_cfg=dict(custom_keys={'decode_head': dict(lr_mult=10.0)}))

    Known problems: other keys may match nothing, too; that shows only when the model is built.

    Source: mmengine 0.10.7, optim/optimizer/default_constructor.py, `add_params`; mmsegmentation issue 2239.
    """
    declared = _paramwise(facts)
    custom = declared[0].get("custom_keys") if declared is not None else None
    if custom is None or not custom.is_dict:
        return
    model = facts.model
    if model is None or facts.value(model, "type") != "EncoderDecoder":
        return
    classes: dict[str, str] = {}
    backbone = (facts.value(model.get("backbone"), "type") or "") if model.get("backbone") is not None else ""
    for part in _PARTS:
        for node in entries(model.get(part)):
            if node.type:
                classes[_WORD_BOUNDARY.sub("_", node.type).lower()] = part
                classes[node.type.lower()] = part
    present = [part for part in _PARTS if model.get(part) is not None]
    for node in custom:
        first, _, rest = node.name.partition(".")
        part_meant = classes.get(first.lower()) or _MISNAMED.get(first.lower())
        if part_meant is None and len(first) > 3 and isinstance(backbone, str) and backbone != "TIMMBackbone":
            part_meant = "backbone" if backbone.lower().startswith(first.lower()) else None
        if part_meant is None and first not in _PARTS:
            near = nearest_names(first, present, limit=1)
            part_meant = near[0] if near and _nearly(first, near[0]) else None
        if part_meant is None and first in _PARTS and first not in present:
            yield Mark(
                node, f"no parameter is called {node.name!r}: the model has no {first}", "leave it out", at_key=True
            )
        elif part_meant is not None and (part_meant in present):
            right = f"{part_meant}.{rest}" if rest else part_meant
            yield Mark(
                node,
                f"no parameter is called {node.name!r}: names start with {', '.join(present)}",
                f"write {right!r}",
                fix(f"write {right!r}", renamed(node, right), safe=False) if right not in custom.value else None,
                at_key=True,
            )


def _nearly(wrong: str, right: str) -> bool:
    """A misspelling of the whole name: a part of it would match."""
    return wrong not in right and abs(len(wrong) - len(right)) <= 2 and wrong[:2] == right[:2] and "_" in wrong + right


_WRAPPERS: Final = (None, "OptimWrapper", "AmpOptimWrapper", "ApexOptimWrapper")
_WHOLE: Final = ("model", "train_cfg", "train_dataloader", "default_scope")


@rule("RUN007", Severity.ERROR)
def optimizer_missing(facts: Facts) -> Iterator[Mark]:
    """The optimizer wrapper has no optimizer, or a name in place of its dict.

    Why it matters: mmengine takes a wrapper without an optimizer for several of them, and each of its keys for one: a
    ValueError before the first iteration. A name has nothing of a dict: AttributeError.

    Bad:
        model = dict(
            type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)),
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=19))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset'))
        optim_wrapper = dict(type='OptimWrapper', clip_grad=dict(max_norm=1.0))
        default_scope = 'mmseg'

    Good:
        model = dict(
            type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)),
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=19))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset'))
        optim_wrapper = dict(type='OptimWrapper', clip_grad=dict(max_norm=1.0), optimizer=dict(type='SGD', lr=0.01))
        default_scope = 'mmseg'

    Known problems: judged in whole configs, with a model, data and a training loop, and for mmengine's and mmseg's
    constructors.

    Source: mmengine 0.10.7, optim/optimizer/default_constructor.py, `__init__`.
    """
    wrapper = facts.section("optim_wrapper")
    if wrapper is None or not all(facts.get(key) for key in _WHOLE):
        return
    is_known = wrapper.type in _WRAPPERS and facts.value(wrapper, "constructor") in (None, *_CONSTRUCTORS)
    if is_known and "optimizer" not in wrapper.value:
        yield Mark(wrapper, "optim_wrapper has no optimizer", "give it one", missing="optimizer")
    optimizer = wrapper.get("optimizer") if is_known else None
    if (
        optimizer is not None
        and isinstance(optimizer.value, (str, int, float, list, tuple))
        and not isinstance(optimizer.value, DottedName)
    ):
        yield Mark(optimizer, f"optimizer is {optimizer.value!r:.60}, and no dict that can be built", "give one dict")


_BOUNDS: Final = {
    # torch 2.4, optim/sgd.py and adam.py
    "weight_decay": (0.0, float("inf"), "negative, so that weights grow"),
    "momentum": (0.0, 1.0, "outside 0 and 1"),
    "eps": (0.0, float("inf"), "negative"),
}


@rule("RUN008", Severity.ERROR)
def optimizer_out_of_range(facts: Facts) -> Iterator[Mark]:
    """A number of the optimizer is one that it cannot train with.

    Why it matters: at a learning rate of zero nothing is trained. A negative rate or decay is refused by torch, or
    climbs; a momentum of 1 never forgets, so that the weights leave on the first gradient's course.

    Bad:
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0, momentum=0.9))

    Good:
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))

    Source: torch 2.4, optim/sgd.py and adam.py, `__init__`.
    """
    optimizer = facts.section("optim_wrapper.optimizer")
    if optimizer is None:
        return
    rate = optimizer.get("lr")
    value = number(rate.value) if rate is not None else None
    if rate is not None and value is not None and value <= 0:
        effect = "nothing is trained" if value == 0 else "it is negative"
        yield Mark(rate, f"the learning rate is {value:g}: {effect}", "set a positive one")
    for name, (low, high, effect) in _BOUNDS.items():
        node = optimizer.get(name)
        value = number(node.value) if node is not None else None
        if node is not None and value is not None and not low <= value < high:
            yield Mark(node, f"{name} is {value:g}, {effect}", f"set one from {low:g}")
    betas = optimizer.get("betas")
    for beta in betas if betas is not None and betas.is_list else ():
        value = number(beta.value)
        if value is not None and not 0 <= value < 1:
            yield Mark(beta, f"{value:g} among betas is outside 0 and 1", "(0.9, 0.999) is usual")


@rule("RUN009", Severity.ERROR)
def gradients_clipped_away(facts: Facts) -> Iterator[Mark]:
    """Gradients are clipped to nothing, or turned round.

    Why it matters: gradients are multiplied by the limit over their norm. A limit of zero leaves none, and a negative
    one climbs.

    Bad:
        optim_wrapper = dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), clip_grad=dict(max_norm=0.0))

    Good:
        optim_wrapper = dict(
            type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), clip_grad=dict(max_norm=1.0))

    Source: torch 2.4, nn/utils/clip_grad.py, `clip_grad_norm_`.
    """
    for name in ("max_norm", "clip_value"):
        node = facts.get(f"optim_wrapper.clip_grad.{name}")
        limit = number(node.value) if node is not None else None
        if node is not None and limit is not None and limit <= 0:
            yield Mark(node, f"gradients are clipped to {limit:g}", "set a positive limit, or drop clip_grad")


@rule("RUN010", Severity.ERROR)
def gradients_never_applied(facts: Facts) -> Iterator[Mark]:
    """Gradients are gathered over no iteration, or over the whole run.

    Why it matters: fewer than one is refused. As many iterations as the run has make one step of the optimizer, at its
    very end, without a word.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), accumulative_counts=40000)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), accumulative_counts=4)

    Source: mmengine 0.10.7, optim/optimizer/optimizer_wrapper.py, `should_update`.
    """
    node = facts.get("optim_wrapper.accumulative_counts")
    steps = whole(node.value) if node is not None else None
    if node is None or steps is None:
        return
    length = facts.schedule.length if facts.schedule.by_epoch is False else None
    if steps < 1:
        yield Mark(node, f"gradients of {steps} iterations make a step", "set 1 or more")
    elif length is not None and length <= steps:
        yield Mark(node, f"a step every {steps} iterations, and the run has {length}", "gather fewer")
