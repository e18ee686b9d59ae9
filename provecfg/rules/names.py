"""Names and arguments, against what the registered classes accept."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.typed import Typed
from provecfg.findings import Fix, Severity
from provecfg.mmconfig import Node
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Fate
from provecfg.rules.edits import fix, moved, removed, renamed, replaced
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
            near = [old, *(one for one in near if one != old)]
        message = f"no {_what(typed)} {name!r} is registered"
        if elsewhere:
            message = f"{name!r} is a {elsewhere[0]}, not a {typed.registry}"
        repair = None
        if near and (len(near) == 1 or near[0] == old or near[0].lower() == name.lower()):
            spelling = [one for one in near if is_misspelling(name, one)]
            repair = fix(f"write {near[0]!r}", replaced(node, near[0]), safe=spelling == near[:1])
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "register it in a module of custom_imports"
        yield Mark(node, message, hint, repair)


def _what(typed: Typed) -> str:
    return {"model": "class", "task util": "class"}.get(typed.registry, typed.registry)


@rule("REG002", Severity.ERROR, needs_whole=False)
def unknown_argument(facts: Facts) -> Iterator[Mark]:
    """The class does not take this argument.

    Why it matters: TypeError when the part is built; a checkpoint hook keeps it and fails when it first saves.

    Bad:
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, max_keep_ckpt=3))

    Good:
        default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, max_keep_ckpts=3))

    Source: the signatures of the installed release, their `**kwargs` followed through parents.
    """
    for typed, known, node, fate in facts.unused_arguments:
        if fate is not Fate.REFUSED:
            continue
        if typed.slot == "train_cfg" and node.name == "by_epoch":
            continue  # SCHED010
        yield _argument(facts, typed, known, node, f"{known.type_name} takes no argument {node.name!r}", safe=True)


@rule("REG003", Severity.ERROR, needs_whole=False)
def swallowed_argument(facts: Facts) -> Iterator[Mark]:
    """The class takes this argument without a word, and drops it.

    Why it matters: a `**kwargs` that goes nowhere hides a typo, or a setting of another class: Mask2FormerHead takes
    `loss_decode` and never trains on it.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='HuasdorffDisstanceLoss', loss_wieght=0.2),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2,
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='HuasdorffDisstanceLoss', loss_weight=0.2),
                ]))

    Source: the signatures of the installed release, their `**kwargs` followed through parents.
    """
    for typed, known, node, fate in facts.unused_arguments:
        if fate is not Fate.SWALLOWED or is_harmless(known, node.name):
            continue
        if known.is_of_user and not any(is_misspelling(node.name, name) for name in known.nearest(node.name)):
            continue  # REG105
        yield _argument(
            facts, typed, known, node, f"{known.type_name} takes {node.name!r} without a word and drops it", safe=False
        )


_HARMLESS: Final = {
    # every Mask2Former config that mmseg and mmdet ship says it; the head's losses work on points
    "Mask2FormerHead": {"strides"},
    "MaskFormerHead": {"strides", "in_index"},
}


def is_harmless(known: ClassInfo, name: str) -> bool:
    """Whether an argument is known to be dropped, and nobody means it to do anything."""
    return any(name in names and known.is_a(owner) for owner, names in _HARMLESS.items())


_USELESS: Final = {
    "HuasdorffDisstanceLoss": {"class_weight"}  # LOSS026: it cannot be used, spelt right either
}


def _argument(facts: Facts, typed: Typed, known: ClassInfo, node: Node, message: str, *, safe: bool) -> Mark:
    """A finding about an argument that its class has no use for, with where it belongs."""
    home = _home(facts, typed, node.name)
    if home is not None:
        repair = None
        if node.name not in home.value:
            repair = fix(f"move it to {home.key}", moved(node, home), safe=safe)
        return Mark(node, message, f"it belongs to {home.key}", repair, at_key=True)
    useless = _USELESS.get(known.type_name, ())
    near = [name for name in known.nearest(node.name) if name not in typed.node.value and name not in useless]
    if near:
        renaming = fix(f"rename it to {near[0]!r}", renamed(node, near[0]), safe=safe)
        return Mark(node, message, f"did you mean {' or '.join(map(repr, near))}?", renaming, at_key=True)
    hint = _INSTEAD.get((known.type_name, node.name))
    hint = hint or f"leave it out; {known.type_name} takes {_what_takes(known)}"
    return Mark(node, message, hint, _dropped(node), at_key=True)


_PIXEL_LOSSES = (
    "its losses are loss_cls, loss_mask and loss_dice; provecfg's Mask2FormerPixelLossHead adds pixel losses"
)
_INSTEAD: Final = {("Mask2FormerHead", "loss_decode"): _PIXEL_LOSSES, ("MaskFormerHead", "loss_decode"): _PIXEL_LOSSES}
"""What does what an argument seems to be meant for."""


def _dropped(node: Node) -> Fix | None:
    return fix(f"drop {node.name!r}", removed(node), safe=True)


def _what_takes(known: ClassInfo) -> str:
    names = list(known.parameters)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "no arguments"


_HOMES: Final = ("loss_decode", "optimizer", "dataset", "decode_head", "backbone")


def _home(facts: Facts, typed: Typed, name: str) -> Node | None:
    """The dict just below or above that takes an argument of this name: where a misplaced one belongs."""
    for slot in _HOMES:
        child = typed.node.get(slot)
        if child is None or not child.is_dict or child.type is None:
            continue
        known = facts.class_of(child, {"optimizer": "optimizer", "dataset": "dataset"}.get(slot, "model"))
        if known is not None and name in known.parameters:
            return child
    parent = typed.node.parent
    if parent is not None and parent.is_dict and parent.type is not None and typed.slot in ("loss_decode", "optimizer"):
        known = facts.class_of(parent, "optim_wrapper" if typed.slot == "optimizer" else "model")
        if known is not None and name in known.parameters and name != "init_cfg":
            return parent
    return None


@rule("REG004", Severity.ERROR)
def missing_argument(facts: Facts) -> Iterator[Mark]:
    """A required argument is missing.

    Why it matters: TypeError when the part is built.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', rule='greater')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: the signatures of the installed release.
    """
    for typed, known in facts.known:
        if not typed.is_direct or not known.required or (typed.registry == "model" and not facts.loaders):
            continue  # of models without data, which are bases of configs that may say more
        values = typed.node.value
        lacking = [name for name in known.required if name not in values]
        if lacking:
            many = "s" if len(lacking) > 1 else ""
            yield Mark(
                typed.node.get("type") or typed.node,
                f"{known.type_name} needs the argument{many} {', '.join(lacking)}",
                f"set {lacking[0]}",
            )


@rule("REG005", Severity.ERROR, needs_whole=False)
def quoted_value(facts: Facts) -> Iterator[Mark]:
    """A number or truth value stands in quotes.

    Why it matters: a text is no number: TypeError, often only in the first forward pass. And 'False' is true.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight='0.4')))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)))

    Source: the defaults of the installed release's signatures.
    """
    for typed, known in facts.known:
        for key, value in typed.node.value.items():
            if not isinstance(value, str) or key == "type":
                continue
            meant = _QUOTED.get(value, _parsed(value))
            if meant is None and value != "None":
                continue
            parameter = known.parameters.get(key)
            default = parameter.default if parameter is not None else None
            if default is REQUIRED or default is UNKNOWN_DEFAULT or not isinstance(default, (bool, int, float)):
                continue
            node = Node(value, typed.node, key)
            yield Mark(
                node,
                f"{key} is the text {value!r}, not {meant!r}",
                "take the quotes away",
                fix("take the quotes away", replaced(node, meant), safe=True),
            )


_QUOTED: Final = {"True": True, "False": False, "true": True, "false": False}


def _parsed(text: str) -> float | None:
    if not text or text[0] not in "+-.0123456789":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


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
        for one in node:
            if one.is_dict and "type" not in one.value:
                kinds = [key for key in one.value if isinstance(key, str) and key.lower() == "type"]
                near = kinds or nearest_names("type", [str(key) for key in one.value], limit=1)
                hint = f"is {near[0]!r} meant?" if near else "name its class"
                yield Mark(one, "no type: nothing tells what to build", hint, missing="type")


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
        places = [one for one in named or () if one.value == unread.module]
        where = places[0] if places else named or node
        if where is not None:
            yield Mark(
                where,
                f"{unread.module} was not read ({unread.reason}): names that it may register were not judged",
                "stand in the folder that training is started from",
            )


# The top level


TOP_LEVEL: Final = frozenset(
    {
        # mmengine 0.10.7, runner/runner.py: what from_cfg, wrap_model and compile read
        "model",
        "work_dir",
        "train_dataloader",
        "val_dataloader",
        "test_dataloader",
        "train_cfg",
        "val_cfg",
        "test_cfg",
        "auto_scale_lr",
        "optim_wrapper",
        "param_scheduler",
        "val_evaluator",
        "test_evaluator",
        "default_hooks",
        "custom_hooks",
        "data_preprocessor",
        "load_from",
        "resume",
        "launcher",
        "env_cfg",
        "log_processor",
        "log_level",
        "visualizer",
        "default_scope",
        "randomness",
        "experiment_name",
        "sync_bn",
        "find_unused_parameters",
        "model_wrapper_cfg",
        "detect_anomalous_params",
        "activation_checkpointing",
        "efficient_conv_bn_eval",
        "compile",
        # ... runner/_flexible_runner.py
        "strategy",
        # mmsegmentation 1.2.2, tools/train.py, tools/test.py, tools/analysis_tools
        "runner_type",
        "tta_model",
        "tta_pipeline",
        # mmengine 0.10.7, config/config.py
        "custom_imports",
        "env_variables",
    }
)
"""Top-level keys that something reads."""

_OLD_KEYS: Final = {
    # mmengine's migration guides, mmcv 1.x to mmengine
    "optimizer": "optim_wrapper=dict(type='OptimWrapper', optimizer=...)",
    "optimizer_config": "optim_wrapper (clip_grad, accumulative_counts)",
    "lr_config": "param_scheduler",
    "momentum_config": "param_scheduler",
    "runner": "train_cfg",
    "total_epochs": "train_cfg.max_epochs",
    "total_iters": "train_cfg.max_iters",
    "checkpoint_config": "default_hooks.checkpoint",
    "log_config": "default_hooks.logger and visualizer",
    "evaluation": "val_evaluator, train_cfg.val_interval and default_hooks.checkpoint.save_best",
    "data": "train_dataloader, val_dataloader and test_dataloader",
    "workflow": "train_cfg and val_cfg",
    "dist_params": "env_cfg.dist_cfg",
    "resume_from": "load_from with resume=True",
    "auto_resume": "resume",
    "seed": "randomness=dict(seed=...)",
    "deterministic": "randomness=dict(deterministic=...)",
    "cudnn_benchmark": "env_cfg.cudnn_benchmark",
    "mp_start_method": "env_cfg.mp_cfg",
    "opencv_num_threads": "env_cfg.mp_cfg",
    "fp16": "optim_wrapper=dict(type='AmpOptimWrapper')",
    "evaluator": "val_evaluator and test_evaluator",
    "early_stopping": "custom_hooks=[dict(type='EarlyStoppingHook', ...)]",
}
_USUAL_VARIABLES: Final = frozenset({"vis_backends", "train_pipeline", "test_pipeline", "val_pipeline", "norm_cfg"})


@rule("REG007", Severity.WARNING)
def unread_top_level_key(facts: Facts) -> Iterator[Mark]:
    """Nothing reads this top-level key.

    Why it matters: the runner takes the keys that it knows and ignores the others without a word: `custom_hook` is no
    early stopping, mmcv 1.x's `lr_config` no schedule.

    Bad:
        custom_hook = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Known problems: a name that is neither close to a known key nor one of 0.x is taken for a variable.

    Source: mmengine 0.10.7, runner/runner.py, `from_cfg`; mmsegmentation issue 3505.
    """
    reads = {name for layer in facts.view.layers for name in layer.reads}
    for node in facts.root:
        name = node.name
        if name in TOP_LEVEL or name in reads or name in _USUAL_VARIABLES or name.startswith("_"):
            continue
        if _read_through_base(facts, name):
            continue
        if name in _OLD_KEYS:
            if isinstance(node.value, (dict, list, tuple)) or name not in ("runner", "data", "optimizer"):
                message = f"{name!r} is a key of mmcv 1.x, which mmengine does not read"
                if name == "early_stopping":
                    message = f"mmengine does not read {name!r}"
                yield Mark(node, message, f"it is {_OLD_KEYS[name]} now", at_key=True)
            continue
        near = _nearest_top_level(name)
        if near and near[0] not in facts.root.value:
            yield Mark(
                node,
                f"nothing reads the top-level key {name!r}",
                f"did you mean {near[0]!r}?",
                fix(f"rename it to {near[0]!r}", renamed(node, near[0]), safe=False),
                at_key=True,
            )
        elif near:
            yield Mark(
                node,
                f"nothing reads the top-level key {name!r}",
                f"did you mean {near[0]!r}, which is set too?",
                at_key=True,
            )


@functools.lru_cache(maxsize=4096)
def _nearest_top_level(name: str) -> tuple[str, ...]:
    return tuple(key for key in nearest_names(name, TOP_LEVEL, limit=2) if is_misspelling(name, key))


def _read_through_base(facts: Facts, name: str) -> bool:
    return any(f"_base_.{name}" in layer.source.text for layer in facts.view.layers)


RULES = (
    unknown_type,
    unknown_argument,
    swallowed_argument,
    missing_argument,
    quoted_value,
    part_without_type,
    unread_top_level_key,
    unread_import,
)
