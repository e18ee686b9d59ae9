"""Hooks, optimizer groups and visualisation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.findings import Edit, Fix, Severity, Span
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names


@rule("RUN001", Severity.ERROR)
def hooks_not_listed(facts: Facts) -> Iterator[Mark]:
    """`custom_hooks` is no list, or `default_hooks` is one.

    Why it matters: custom hooks are a list, default hooks are named. The runner goes through the keys of a dict and
    fails: "hook should be an instance".

    Bad:
        custom_hooks = dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, runner/runner.py, `register_custom_hooks`.
    """
    custom, default = facts.get("custom_hooks"), facts.get("default_hooks")
    if custom is not None and custom.is_dict and custom.value:
        yield Mark(
            custom, "custom_hooks is a dict, and mmengine goes through a list", "put it in brackets", _listed(custom)
        )
    if default is not None and default.is_list:
        yield Mark(
            default, "default_hooks is a list, and mmengine looks hooks up by name", "name them: dict(logger=...)"
        )


def _listed(node: Node) -> Fix | None:
    origin = node.origin
    if origin is None or origin.source.path.suffix != ".py" or "type" not in node.value:
        return None
    span, file = origin.span, origin.source.path
    opening = Edit(file, Span(span.row, span.column, span.row, span.column), "[")
    closing = Edit(file, Span(span.end_row, span.end_column, span.end_row, span.end_column), "]")
    return fix("put it in brackets", (opening, closing), safe=True)


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
    known = _CONSTRUCTORS.get(str(facts.value(wrapper, "constructor", "DefaultOptimWrapperConstructor")))
    return None if known is None else (node, known)


@rule("RUN002", Severity.WARNING)
def unread_paramwise_key(facts: Facts) -> Iterator[Mark]:
    """Nothing reads this key of `paramwise_cfg`.

    Why it matters: mmengine looks up the keys that it knows and ignores others without a word: every parameter keeps
    the base learning rate and weight decay.

    Bad:
        optim_wrapper = dict(type='OptimWrapper', paramwise_cfg=dict(custom_key={'head': dict(lr_mult=10.0)}))

    Good:
        optim_wrapper = dict(type='OptimWrapper', paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=10.0)}))

    Source: mmengine 0.10.7, optim/optimizer/default_constructor.py, `add_params`; mmsegmentation issue 25.
    """
    found = _paramwise(facts)
    if found is None:
        return
    paramwise, keys = found
    unread = [(node, keys) for node in paramwise if node.name not in keys]
    custom = paramwise.get("custom_keys")
    if custom is not None and custom.is_dict:
        unread += [(node, GROUP) for group in custom if group.is_dict for node in group if node.name not in GROUP]
    for node, known in unread:
        near = nearest_names(node.name, known, limit=1)
        above = node.parent.key.rpartition(".")[2] if node.parent is not None else ""
        yield Mark(
            node,
            f"{above} has no {node.name!r}: it is ignored",
            f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known))}",
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
    found, model = _paramwise(facts), facts.model
    custom = found[0].get("custom_keys") if found is not None else None
    if custom is None or not custom.is_dict or model is None or facts.value(model, "type") != "EncoderDecoder":
        return
    classes: dict[str, str] = {}
    backbone = (facts.value(model.get("backbone"), "type") or "") if model.get("backbone") is not None else ""
    for part in _PARTS:
        node = model.get(part)
        for one in [] if node is None else [node] if node.is_dict else list(node):
            if one.type:
                classes[_WORD_BOUNDARY.sub("_", one.type).lower()] = part
                classes[one.type.lower()] = part
    present = [part for part in _PARTS if model.get(part) is not None]
    for node in custom:
        first, _, rest = node.name.partition(".")
        place = classes.get(first.lower()) or _MISNAMED.get(first.lower())
        if place is None and len(first) > 3 and isinstance(backbone, str) and backbone != "TIMMBackbone":
            place = "backbone" if backbone.lower().startswith(first.lower()) else None
        if place is None and first not in _PARTS:
            near = nearest_names(first, present, limit=1)
            place = near[0] if near and _nearly(first, near[0]) else None
        if place is None and first in _PARTS and first not in present:
            yield Mark(
                node, f"no parameter is called {node.name!r}: the model has no {first}", "leave it out", at_key=True
            )
        elif place is not None and (place in present):
            right = f"{place}.{rest}" if rest else place
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


@rule("RUN004", Severity.WARNING)
def hook_draws_nothing(facts: Facts) -> Iterator[Mark]:
    """The visualisation hook is set up and does not draw.

    Why it matters: `draw=False` turns it off; its interval and everything else are not read, and there are no images.

    Bad:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=False, interval=20))

    Good:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=True, interval=20))

    Source: mmsegmentation 1.2.2, engine/hooks/visualization_hook.py; mmsegmentation issue 3520.
    """
    for hook in facts.hooks_of("SegVisualizationHook"):
        node = hook.get("draw")
        set_up = [key for key in ("interval", "show", "wait_time") if key in hook.value]
        if facts.argument(hook, "draw", "hook") is False and (set_up or node is not None):
            yield Mark(
                node or hook,
                "draw is False: the hook draws nothing" + (f", whatever its {', '.join(set_up)}" if set_up else ""),
                "set draw=True, or leave the hook out",
                fix("draw", replaced(node, True), safe=True) if node is not None else None,
            )


@rule("RUN006", Severity.WARNING)
def drawings_go_nowhere(facts: Facts) -> Iterator[Mark]:
    """Predictions are drawn, and the visualizer has no backend to keep them.

    Why it matters: without `vis_backends` the visualizer drops what it is given, with one warning in the log.

    Bad:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=True))
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[])

    Good:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=True))
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])

    Source: mmengine 0.10.7, visualization/visualizer.py, `__init__`.
    """
    visualizer = facts.section("visualizer")
    if visualizer is None or facts.value(visualizer, "vis_backends", None):
        return
    if visualizer.type != "SegLocalVisualizer" or facts.value(visualizer, "vis_backends", None) not in (None, []):
        return
    for hook in facts.hooks_of("SegVisualizationHook"):
        if facts.value(hook, "draw", False) is True and facts.value(hook, "show", False) is not True:
            yield Mark(
                visualizer.get("vis_backends") or visualizer,
                "predictions are drawn, and no vis_backend keeps them",
                "set vis_backends=[dict(type='LocalVisBackend')]",
            )
            return


@rule("RUN005", Severity.ERROR)
def imports_not_a_dict(facts: Facts) -> Iterator[Mark]:
    """`custom_imports` does not say what to import.

    Why it matters: mmengine reads `custom_imports['imports']`, a name or a list of names; anything else fails when the
    config is loaded, or imports nothing.

    Bad:
        custom_imports = ['mmseg.models']

    Good:
        custom_imports = dict(imports=['mmseg.models'], allow_failed_imports=False)

    Source: mmengine 0.10.7, config/config.py, `fromfile`; utils/misc.py, `import_modules_from_strings`.
    """
    node = facts.get("custom_imports")
    if node is None or node.is_opaque or node.value is None:
        return
    if not node.is_dict:
        yield Mark(node, "custom_imports is not a dict", "write dict(imports=[...], allow_failed_imports=False)")
        return
    for child in node:
        if child.name not in ("imports", "allow_failed_imports", "_delete_"):
            near = nearest_names(child.name, ("imports", "allow_failed_imports"), limit=1)
            yield Mark(
                child,
                f"custom_imports has no {child.name!r}",
                f"did you mean {near[0]!r}?" if near else "it has imports and allow_failed_imports",
                fix(f"rename it to {near[0]!r}", renamed(child, near[0]), safe=True) if near else None,
                at_key=True,
            )
