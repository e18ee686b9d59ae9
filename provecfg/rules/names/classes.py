"""Parts that cannot be built, whatever their arguments: no type, an unknown one, no scope, imports that fail."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.typed import Typed
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.registry.layout import SCOPES
from provecfg.rules.edits import fix, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import is_misspelling, nearest_names

_OLD_NAMES: Final = {
    # mmsegmentation's migration guide, 0.x to 1.x
    "CustomDataset": "BaseSegDataset",
    "Collect": "PackSegInputs",
    "DefaultFormatBundle": "PackSegInputs",
    "ImageToTensor": "PackSegInputs",
    "MultiScaleFlipAug": "TestTimeAug",
    "EncoderDecoder3D": "EncoderDecoder",
    "EvalHook": "ValLoop",
    "OhemCrossEntropyLoss": "OhemCrossEntropy",
    "BCELoss": "CrossEntropyLoss",
    "LightDecodeHead": "LightHamHead",
}


@rule("REG001", Severity.ERROR, needs_whole=False)
def unknown_type(facts: Facts) -> Iterator[Mark]:
    """No class of this name is registered.

    Why it matters: KeyError when the part is built. Names are exact, capitals included: it is `SegformerHead`,
    `UPerHead`, `LightHamHead`, `OHEMPixelSampler`.

    Bad:
        custom_hooks = [dict(type='EarlyStopHook', monitor='mIoU', rule='greater')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Known problems: said where nothing else could register it; where the config's repository or its imports register
    classes of their own, REG101 says so once, and REG102 where not all of them could be read.

    Source: mmengine 0.10.7, registry/registry.py; mmsegmentation issue 3547.
    """
    registry = facts.registry
    if not registry.is_closed:
        return
    for typed, node in facts.unregistered:
        name = node.value
        elsewhere = registry.registries_with(name)
        scope = typed.node.value.get("_scope_")
        near = registry.nearest(name, typed.registry, scope=scope if isinstance(scope, str) else None)
        old = _OLD_NAMES.get(name)
        if old is not None and registry.find(old, typed.registry) is not None:
            near = [old, *(other for other in near if other != old)]
        message = f"no {_described(typed)} {name!r} is registered"
        if elsewhere:
            message = f"{name!r} is a {elsewhere[0]}, not a {typed.registry}"
        repair = None
        if near and (len(near) == 1 or near[0] == old or near[0].lower() == name.lower()):
            spelling = [other for other in near if is_misspelling(name, other)]
            repair = fix(f"write {near[0]!r}", replaced(node, near[0]), safe=spelling == near[:1])
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "register it in a module of custom_imports"
        yield Mark(node, message, hint, repair, covers=typed.node)


def _described(typed: Typed) -> str:
    return {"model": "class", "task util": "class"}.get(typed.registry, typed.registry)


_LISTS: Final = {
    "custom_hooks": "custom_hooks",
    "param_scheduler": "param_scheduler",
    "train": "train_dataloader.dataset.pipeline",
    "val": "val_dataloader.dataset.pipeline",
    "test": "test_dataloader.dataset.pipeline",
}


@rule("REG006", Severity.ERROR)
def part_without_type(facts: Facts) -> Iterator[Mark]:
    """A part of a list has no `type`.

    Why it matters: KeyError when it is built. Lists are replaced whole, so no base adds it.

    Bad:
        custom_hooks = [dict(monitor='mIoU', rule='greater')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, registry/build_functions.py, `build_from_cfg`.
    """
    lists = [facts.get(key) for key in _LISTS.values()]
    lists += [head.node.get("loss_decode") for head in facts.heads]
    for node in lists:
        if node is None or not node.is_list:
            continue
        for item in node:
            if item.is_dict and "type" not in item.value:
                kinds = [key for key in item.value if isinstance(key, str) and key.lower() == "type"]
                near = kinds or nearest_names("type", [str(key) for key in item.value], limit=1)
                hint = f"is {near[0]!r} meant?" if near else "name its class"
                yield Mark(item, "no type: nothing tells what to build", hint, missing="type")


@rule("REG008", Severity.NOTE)
def unread_import(facts: Facts) -> Iterator[Mark]:
    """A module of `custom_imports` could not be read.

    Why it matters: it may register classes, so that names that are not known were not judged. Modules are looked for
    beside the config, in the folders above it up to its project's, and where Python finds packages. They are read, not
    imported.

    Bad:
        custom_imports = dict(imports=['no_such_module_of_losses'], allow_failed_imports=False)

    Good:
        custom_imports = dict(imports=['mmseg.models'], allow_failed_imports=False)

    Source: mmengine 0.10.7, utils/misc.py, `import_modules_from_strings`.
    """
    node = facts.get("custom_imports")
    for unread in facts.registry.unread if node is not None else ():
        named = facts.get("custom_imports.imports")
        places = [item for item in named or () if item.value == unread.module]
        where = places[0] if places else named or node
        if where is not None:
            yield Mark(
                where,
                f"{unread.module} was not read ({unread.reason}): names that it may register were not judged",
                "stand in the folder that training is started from",
            )


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

    Source: mmengine 0.10.7, registry/build_functions.py, `build_from_cfg`; runner/runner.py, `build_evaluator`.
    """
    is_run = facts.section("train_cfg") is not None and facts.get("default_scope") is not None
    parts = [
        (key, node)
        for key in _PARTS
        if (node := facts.section(key)) is not None and (facts.is_mmseg or not key.startswith("model."))
    ]  # other libraries' models have defaults for their parts
    segmentor = facts.segmentor
    is_own_model = segmentor is not None and segmentor.is_of_user
    default_hooks = facts.section("default_hooks")
    parts += [(node.key, node) for node in default_hooks or () if node.is_dict]
    for key, node in parts:
        if "type" in node.value or (not node.value and key not in _PARTS):
            continue
        if key.endswith("_evaluator") and "metrics" in node.value:
            continue  # mmengine's own Evaluator
        if key.startswith("model.") and is_own_model:
            continue  # its parts are its own affair
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
    unread = {module.module for module in facts.registry.unread if module.reason.endswith("is not found")}
    for item in [node] if isinstance(node.value, str) else list(node):
        name = item.value
        if isinstance(name, str) and (name in unread or _is_missing(name)):
            package = name.rpartition(".")[0]
            near = nearest_names(name, _OURS, limit=1) if package == "provecfg" else []
            yield Mark(
                item,
                f"{package} has no module {name.rpartition('.')[2]!r}",
                f"did you mean {near[0]!r}?" if near else "look at the module's name",
                fix(f"import {near[0]!r}", replaced(item, near[0]), safe=True) if near else None,
            )


_OURS: Final = ("provecfg.plugin",)


@functools.cache
def _is_missing(module: str) -> bool:
    """Whether an installed package, which is looked at and not imported, lacks the module."""
    top, *rest = module.split(".")
    if top not in _LIBRARIES or not rest:
        return False
    spec = importlib.util.find_spec(top)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    for part in rest:
        if folder is None:
            return False
        if not any(folder.glob(f"{part}.*")) and not (folder / part).is_dir():
            return True
        folder = folder / part
    return False


_LIBRARIES: Final = ("mmseg", "mmdet", "mmengine", "mmcv", "provecfg")
"""Those whose classes are known, so that their modules are not read."""


@rule("REG011", Severity.ERROR)
def no_scope(facts: Facts) -> Iterator[Mark]:
    """There is no `default_scope`, or none of that name.

    Why it matters: mmengine looks unscoped names up in the registries of the default scope. In its own, or in those of
    a library that does not exist, there is no EncoderDecoder: the model cannot be built.

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
    elif (node is None or node.value is None) and all(
        facts.section(key) for key in ("model", "train_cfg", "train_dataloader")
    ):
        model = facts.get("model.type")
        if model is not None and type(model.value) is str and model.value in _SEGMENTORS:
            yield Mark(
                node or facts.root,
                f"no default_scope: {model.value} is looked for among mmengine's own classes",
                "set default_scope='mmseg'",
                missing="default_scope" if node is None else "",
            )


_SEGMENTORS: Final = ("CascadeEncoderDecoder", "EncoderDecoder", "MultimodalEncoderDecoder")
"""mmsegmentation 1.2.2, models/segmentors."""
