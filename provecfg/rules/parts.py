"""Parts that cannot be built, whatever their class: no type, a module that does not exist, another library's scope."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names

_PARTS: Final = (
    "model",
    "model.backbone",
    "model.neck",
    "model.decode_head",
    "model.auxiliary_head",
    "model.data_preprocessor",
    "train_dataloader.dataset",
    "val_dataloader.dataset",
    "test_dataloader.dataset",
    "train_dataloader.sampler",
    "val_dataloader.sampler",
    "test_dataloader.sampler",
    "val_evaluator",
    "test_evaluator",
    "optim_wrapper",
    "optim_wrapper.optimizer",
    "visualizer",
)
_WITH_A_DEFAULT: Final = frozenset({"optim_wrapper", "visualizer"})
"""Parts whose class the runner chooses where none is named."""


@rule("REG009", Severity.ERROR)
def unnamed_class(facts: Facts) -> Iterator[Mark]:
    """A part of the config has no `type`.

    Why it matters: KeyError when it is built; where the class has a default, it is refused the key that was meant to be
    `type`.

    Bad:
        default_scope = 'mmseg'
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000)
        train_dataloader = dict(sampler=dict(tpe='InfiniteSampler', shuffle=True))

    Good:
        default_scope = 'mmseg'
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000)
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))

    Known problems: a part without a misspelt `type` is reported in whole configs alone, which have a training loop and
    a model or data; a fragment may leave it to the configs that inherit from it.

    Source: mmengine 0.10.7, registry/build_functions.py, `build_from_cfg`.
    """
    is_run = facts.section("train_cfg") is not None and facts.get("default_scope") is not None
    parts = [
        (key, node)
        for key in _PARTS
        if (node := facts.section(key)) is not None and (facts.is_mmseg or not key.startswith("model."))
    ]  # other libraries' models have defaults for their parts
    default_hooks = facts.section("default_hooks")
    parts += [(node.key, node) for node in default_hooks or () if node.is_dict]
    for key, node in parts:
        if "type" in node.value or not node.value:
            continue
        misspelt = _misspelt_type(node)
        if misspelt is not None:
            yield Mark(
                misspelt,
                f"{misspelt.name} is no type: nothing tells what to build",
                "write type",
                fix("rename it to 'type'", renamed(misspelt, "type"), safe=True),
                at_key=True,
            )
        elif is_run and key in _PARTS and key not in _WITH_A_DEFAULT:
            yield Mark(node, f"{key} has no type: nothing tells what to build", "name its class", missing="type")


def _misspelt_type(node: Node) -> Node | None:
    for child in node:
        if isinstance(child.value, str) and len(child.name) in (3, 4, 5) and child.name != "type":
            near = nearest_names(child.name, ("type",), limit=1)
            if near and child.name[0].lower() == "t":
                return child
    return None


@rule("REG010", Severity.ERROR)
def import_does_not_exist(facts: Facts) -> Iterator[Mark]:
    """`custom_imports` names a module that its package does not have.

    Why it matters: the import fails when the config is loaded, or, where failures are allowed, nothing is registered.

    Bad:
        custom_imports = dict(imports=['provecfg.plugins'], allow_failed_imports=False)

    Good:
        custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)

    Known problems: a package that is not found at all is left to REG008; it may be where training is started.

    Source: mmengine 0.10.7, utils/misc.py, `import_modules_from_strings`.
    """
    node = facts.get("custom_imports.imports")
    if node is None:
        return
    unread = {one.module for one in facts.registry.unread if one.reason.endswith("is not found")}
    for place in [node] if isinstance(node.value, str) else list(node):
        named = place.value
        if isinstance(named, str) and (named in unread or _is_missing(named)):
            package = named.rpartition(".")[0]
            near = nearest_names(named, _OURS, limit=1) if package == "provecfg" else []
            yield Mark(
                place,
                f"{package} has no module {named.rpartition('.')[2]!r}",
                f"did you mean {near[0]!r}?" if near else "look at the module's name",
                fix(f"import {near[0]!r}", replaced(place, near[0]), safe=True) if near else None,
            )


_OURS: Final = ("provecfg.plugin",)


@functools.cache
def _is_missing(module: str) -> bool:
    """Whether an installed package, which is looked at and not imported, lacks the module."""
    top, *rest = module.split(".")
    if top not in _LIBRARIES or not rest:
        return False
    spec = importlib.util.find_spec(top)
    place = Path(spec.origin).parent if spec is not None and spec.origin else None
    for part in rest:
        if place is None:
            return False
        if not any(place.glob(f"{part}.*")) and not (place / part).is_dir():
            return True
        place = place / part
    return False


_LIBRARIES: Final = ("mmseg", "mmdet", "mmengine", "mmcv", "provecfg")
"""Those whose classes are known, so that their modules are not read."""


SCOPES: Final = {
    # each library's registry.py: `scope=...`
    "mmseg": "mmsegmentation",
    "mmdet": "mmdetection",
    "mmdet3d": "mmdetection3d",
    "mmpretrain": "mmpretrain",
    "mmcls": "mmclassification",
    "mmengine": "mmengine",
    "mmcv": "mmcv",
    "mmpose": "mmpose",
    "mmocr": "mmocr",
    "mmagic": "mmagic",
    "mmrotate": "mmrotate",
    "mmyolo": "mmyolo",
    "mmaction": "mmaction2",
    "mmrazor": "mmrazor",
    "mmselfsup": "mmselfsup",
}


@rule("REG011", Severity.ERROR)
def no_scope(facts: Facts) -> Iterator[Mark]:
    """There is no `default_scope`, or none of that name.

    Why it matters: mmengine looks unscoped names up in the registries of the default scope. In its own, or in those of
    a library that does not exist, there is no EncoderDecoder, and nothing can be built.

    Bad:
        default_scope = 'mmsegmentation'

    Good:
        default_scope = 'mmseg'

    Known problems: an absent scope is reported where the config has a model of mmseg's, its data and a training loop.

    Source: mmengine 0.10.7, registry/default_scope.py, and each library's registry.
    """
    node = facts.get("default_scope")
    if node is not None and isinstance(node.value, str) and node.value not in SCOPES:
        meant = {name: scope for scope, name in SCOPES.items()}.get(node.value)
        near = [meant] if meant else nearest_names(node.value, SCOPES, limit=1)
        if near and (meant or node.value.lower().replace("_", "") == near[0] or len(node.value) == len(near[0])):
            yield Mark(
                node,
                f"no library has the scope {node.value!r}",
                f"did you mean {near[0]!r}?",
                fix(f"write {near[0]!r}", replaced(node, near[0]), safe=True),
            )
    elif node is None and all(facts.section(key) for key in ("model", "train_cfg", "train_dataloader")):
        model = facts.get("model.type")
        if model is not None and type(model.value) is str and model.value in _SEGMENTORS:
            yield Mark(
                facts.root,
                f"no default_scope: {model.value} is looked for among mmengine's own classes",
                "set default_scope='mmseg'",
                missing="default_scope",
            )


_SEGMENTORS: Final = ("CascadeEncoderDecoder", "EncoderDecoder", "MultimodalEncoderDecoder")
"""mmsegmentation 1.2.2, models/segmentors."""


RULES = (unnamed_class, import_does_not_exist, no_scope)
