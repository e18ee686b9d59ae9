"""Keys and values that nobody reads, or that are refused: arguments of classes, and top-level keys."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Final

from provecfg.facts.arguments import UnusedArgument, is_for_the_runner, loader_part_of
from provecfg.facts.facts import Facts
from provecfg.facts.model import settings_read
from provecfg.facts.typed import Typed
from provecfg.findings import Fix, Severity
from provecfg.mmconfig import Node
from provecfg.mmconfig.merge import DELETE_KEY
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Fate
from provecfg.registry.layout import DATA_LOADER, DEFAULT_HOOKS, OLD_KEYS, TOP_LEVEL
from provecfg.rules.edits import fix, moved, removed, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import first_few, is_misspelling, nearest_names


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
    refused = [unused for unused in facts.unused_arguments if unused.fate is Fate.REFUSED]
    for _, group in itertools.groupby(refused, key=lambda unused: id(unused.typed)):
        own: list[UnusedArgument] = []
        inherited: list[UnusedArgument] = []
        for unused in group:
            (inherited if _is_left_over(facts, unused) else own).append(unused)
        if inherited and not any(_means_deletion(unused.node) for unused in own):
            yield _left_over(inherited)
        of_model = _read_by_the_model(facts, own)
        if of_model:
            yield _of_the_model(of_model)
        for typed, info, node, _ in own:
            if typed.slot == "train_cfg" and node.name == "by_epoch":
                continue  # SCHED010
            if any(node is unused.node for unused in of_model):
                continue
            yield _argument(facts, typed, info, node, f"{info.type_name} takes no argument {node.name!r}", safe=True)


def _is_left_over(facts: Facts, unused: UnusedArgument) -> bool:
    """Whether a base sets the argument, for the class that it had there, and a config that inherits it the `type`."""
    named = unused.typed.node.get("type")
    files = facts.view.files  # the config, then its bases
    if named is None or named.file not in files or unused.node.file not in files:
        return False
    return files.index(named.file) < files.index(unused.node.file)


def _left_over(inherited: list[UnusedArgument]) -> Mark:
    """One finding for all that a base left in a dict whose class was changed."""
    typed, info, node, _ = inherited[0]
    names = first_few([repr(unused.node.name) for unused in inherited], 6)
    return Mark(
        typed.node,
        f"{info.type_name} takes no argument {names}: {node.file.name} sets it for the class that it has there",
        _way_to_lose(info, {unused.node.name for unused in inherited}),
        covers=typed.node,
    )


def _read_by_the_model(facts: Facts, refused: list[UnusedArgument]) -> list[UnusedArgument]:
    """Those that a loop refuses and the model reads, in its own dict of the same name."""
    infos = [
        info for info in (facts.segmentor, *(facts.class_of(head.node) for head in facts.heads)) if info is not None
    ]
    return [
        unused
        for unused in refused
        if unused.typed.registry == "loop" and unused.node.name in settings_read(infos, _settings_of(unused.typed))
    ]


def _settings_of(loop: Typed) -> str:
    """The model's settings that are named as a loop is: those of the test are the validation's, too."""
    return "train_cfg" if loop.slot == "train_cfg" else "test_cfg"


def _of_the_model(refused: list[UnusedArgument]) -> Mark:
    """One finding for all that a loop was given of the model's."""
    typed, info, node, _ = refused[0]
    names = first_few([repr(unused.node.name) for unused in refused], 6)
    node = node if len(refused) == 1 else typed.node
    home = f"model.{_settings_of(typed)}"
    message = f"{info.type_name} takes no argument {names}: the model reads it, of {home}"
    return Mark(node, message, f"move it to {home}", at_key=True, covers=node)


def _way_to_lose(info: ClassInfo, names: set[str]) -> str:
    """What to do about arguments that a base leaves to a class; one of the user's may have meant to hand them on."""
    parents = info.ancestors[1:] if info.is_of_user else ()
    for parent in parents:
        if parent is not None and names <= {parameter.name for parameter in parent.parameters or ()}:
            return (
                f"let {info.type_name} take **kwargs and hand them to {parent.name}, which takes "
                f"{'it' if len(names) == 1 else 'them'}; or, with _delete_=True, set here all that it needs"
            )
    return "_delete_=True in this dict keeps nothing of the base's"


_USELESS: Final = {
    "HuasdorffDisstanceLoss": {"class_weight"}  # LOSS026: it cannot be used, spelt right either
}


def _argument(facts: Facts, typed: Typed, info: ClassInfo, node: Node, message: str, *, safe: bool) -> Mark:
    """A finding about an argument that its class has no use for, with where it belongs."""
    if _means_deletion(node):
        renaming = fix(f"rename it to {DELETE_KEY!r}", renamed(node, DELETE_KEY), safe=False)
        return Mark(node, message, f"did you mean {DELETE_KEY!r}?", renaming, at_key=True, covers=node)
    home = _home(facts, typed, node.name)
    if home is not None:
        repair = None
        if node.name not in home.value:
            repair = fix(f"move it to {home.key}", moved(node, home), safe=safe)
        return Mark(node, message, f"it belongs to {home.key}", repair, at_key=True, covers=node)
    useless = _USELESS.get(info.type_name, ())
    near = [name for name in info.nearest(node.name) if _may_be_meant(node, name) and name not in useless]
    if near:
        misspelt = [name for name in near if is_misspelling(node.name, name)]
        is_certain = safe and len(near) == 1 and near == misspelt
        meant = (misspelt or near)[0] if misspelt or len(near) == 1 else None  # of several that are far, none is picked
        renaming = None if meant is None else fix(f"rename it to {meant!r}", renamed(node, meant), safe=is_certain)
        return Mark(node, message, f"did you mean {' or '.join(map(repr, near))}?", renaming, at_key=True, covers=node)
    missing = [name for name in info.required if name not in typed.node.value] if typed.is_direct else []
    if missing:  # which may be what was meant, so that dropping it would lose what was written
        return Mark(node, message, f"{info.type_name} needs {first_few(missing, 6)}", at_key=True, covers=node)
    hint = _INSTEAD.get((info.type_name, node.name))
    hint = hint or f"leave it out; {info.type_name} takes {_what_takes(info)}"
    return Mark(node, message, hint, _dropped(node), at_key=True, covers=node)


def _means_deletion(node: Node) -> bool:
    """Whether a key is mmengine's `_delete_`, with other underscores or capitals."""
    return node.value is True and node.name.strip("_").lower() == DELETE_KEY.strip("_")


def _may_be_meant(misspelt: Node, name: str) -> bool:
    """Whether an argument's name can be the one that was meant: nothing sets it beside it, or it overrides a base's.

    A name that merely looks alike is not taken for one that the base has set.
    """
    present = misspelt.parent.get(name) if misspelt.parent is not None else None
    return present is None or (present.file != misspelt.file and is_misspelling(misspelt.name, name))


_PIXEL_LOSSES = (
    "its losses are loss_cls, loss_mask and loss_dice; provecfg's Mask2FormerPixelLossHead adds pixel losses"
)
_INSTEAD: Final = {("Mask2FormerHead", "loss_decode"): _PIXEL_LOSSES, ("MaskFormerHead", "loss_decode"): _PIXEL_LOSSES}
"""What does what an argument seems to be meant for."""


def _dropped(node: Node) -> Fix | None:
    return fix(f"drop {node.name!r}", removed(node), safe=False)


def _what_takes(info: ClassInfo) -> str:
    names = list(info.parameters)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "no arguments"


_HOMES: Final = ("loss_decode", "optimizer", "dataset", "decode_head", "backbone")


def _home(facts: Facts, typed: Typed, name: str) -> Node | None:
    """The dict just below or above that takes an argument of this name: where a misplaced one belongs."""
    for slot in _HOMES:
        child = typed.node.get(slot)
        if child is None or not child.is_dict or child.type is None:
            continue
        info = facts.class_of(child, {"optimizer": "optimizer", "dataset": "dataset"}.get(slot, "model"))
        if info is not None and name in info.parameters:
            return child
    parent = typed.node.parent
    if parent is not None and parent.is_dict and parent.type is not None and typed.slot in ("loss_decode", "optimizer"):
        info = facts.class_of(parent, "optim_wrapper" if typed.slot == "optimizer" else "model")
        if info is not None and name in info.parameters and name != "init_cfg":
            return parent
    return None


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
    for typed, info, node, fate in facts.unused_arguments:
        if fate is not Fate.SWALLOWED or is_harmless(info, node.name):
            continue
        if info.is_of_user and not any(is_misspelling(node.name, name) for name in info.nearest(node.name)):
            continue  # REG105
        yield _argument(
            facts, typed, info, node, f"{info.type_name} takes {node.name!r} without a word and drops it", safe=False
        )


_HARMLESS: Final = {
    # every Mask2Former config that mmseg and mmdet ship says it; the head's losses work on points
    "Mask2FormerHead": {"strides"},
    "MaskFormerHead": {"strides", "in_index"},
}


def is_harmless(info: ClassInfo, name: str) -> bool:
    """Whether an argument is known to be dropped, and nobody means it to do anything."""
    return any(name in names and info.is_a(owner) for owner, names in _HARMLESS.items())


@rule("REG004", Severity.ERROR)
def missing_argument(facts: Facts) -> Iterator[Mark]:
    """A required argument is missing.

    Why it matters: TypeError when the part is built. A data loader without a dataset is given None for one, which fails
    at its first batch.

    Bad:
        custom_hooks = [dict(type='EarlyStoppingHook', rule='greater')]

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Known problems: an argument that a class of one's own, which is given the dict, may set in it is left alone.

    Source: the signatures of the installed release; mmengine 0.10.7, config/config.py, `ConfigDict.pop`.
    """
    yield from facts.in_sections(_incomplete)
    for loader in facts.loaders if facts.is_whole_run else ():
        if "dataset" not in loader.node.value and is_for_the_runner(facts, loader.node.name):
            yield Mark(loader.node, "a data loader needs the argument dataset", "set dataset", missing="dataset")


def _incomplete(facts: Facts, section: str) -> Iterator[Mark]:
    owners = facts.owners_in(section)
    for typed, part in facts.parts_in(section):
        info = part.info
        lacking = [name for name in info.required if name not in part.value] if typed.is_direct else []
        if typed.node.key == "model" and facts.get("data_preprocessor") is not None:
            # mmengine 0.10.7, runner/runner.py, `Runner.__init__` gives the model that of the top level
            lacking = [name for name in lacking if name != "data_preprocessor"]
        lacking = [name for name in lacking if not owners.may_set(typed, name)]
        if not lacking or (typed.registry == "model" and not facts.loaders):
            continue  # of models without data, which are bases of configs that may say more
        many = "s" if len(lacking) > 1 else ""
        yield Mark(
            typed.node.get("type") or typed.node,
            f"{info.type_name} needs the argument{many} {', '.join(lacking)}",
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

    Source: the defaults of the installed release's signatures; of a list's item, the numbers beside it.
    """
    yield from facts.in_sections(_quoted)


def _quoted(facts: Facts, section: str) -> Iterator[Mark]:
    parts = [(typed.node, part) for typed, part in facts.parts_in(section)]
    for holder, part in [*parts, *loader_part_of(facts, section)]:
        for key in part.texts:
            value = holder.value[key]
            if not isinstance(value, str):
                yield from _quoted_items(Node(value, holder, key))
                continue
            meant = _QUOTED.get(value, _parsed(value))
            if meant is None and value != "None":
                continue
            parameter = part.info.parameters.get(key)
            default = parameter.default if parameter is not None else None
            if default is REQUIRED or default is UNKNOWN_DEFAULT or not isinstance(default, (bool, int, float)):
                continue
            node = Node(value, holder, key)
            yield Mark(
                node,
                f"{key} is the text {value!r}, not {meant!r}",
                "take the quotes away",
                # 'False' in quotes is true, and runs
                fix("take the quotes away", replaced(node, meant), safe=not isinstance(default, bool)),
            )


def _quoted_items(numbers: Node) -> Iterator[Mark]:
    """Items of a list of numbers that stand in quotes.

    Args:
        numbers: A list with a text in it.
    """
    values = numbers.value
    if not all(isinstance(value, (int, float)) or _meant(value) is not None for value in values):
        return
    if any(isinstance(value, (int, float)) for value in values):
        for item in numbers:
            if isinstance(item.value, str):
                meant = _meant(item.value)
                yield Mark(
                    item,
                    f"{item.value!r} is a text among the numbers of {numbers.name}",
                    "take the quotes away",
                    fix("take the quotes away", replaced(item, meant), safe=True),
                )


def _meant(value: object) -> float | None:
    return _parsed(value) if isinstance(value, str) else None


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

    Known problems: a name that is neither close to a known key nor one of 0.x is taken for a variable, unless a section
    of the run takes an argument of this name, or it holds a hook.

    Source: mmengine 0.10.7, runner/runner.py, `from_cfg`; mmsegmentation issue 3505.
    """
    reads = {name for layer in facts.view.layers for name in layer.reads}
    for node in facts.root:
        name = node.name
        if name in TOP_LEVEL or name in reads or name in _USUAL_VARIABLES or name.startswith("_"):
            continue
        if _read_through_base(facts, name):
            continue
        if name in OLD_KEYS:
            if isinstance(node.value, (dict, list, tuple)) or name not in ("runner", "data", "optimizer"):
                message = f"{name!r} is a key of mmcv 1.x, which mmengine does not read"
                if name == "early_stopping":
                    message = f"mmengine does not read {name!r}"
                yield Mark(node, message, f"it is {OLD_KEYS[name]} now", at_key=True)
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
        else:
            homes = _homes(facts, name) if facts.is_whole_run else []
            if homes:
                yield Mark(
                    node, f"nothing reads the top-level key {name!r}", f"{first_few(homes)} takes it", at_key=True
                )


def _homes(facts: Facts, name: str) -> list[str]:
    """The sections of the top level that take an argument of this name and do not set it."""
    if _is_hook_out_of_place(facts, name):
        return ["default_hooks"]
    homes = [
        typed.node.key
        for typed, part in facts.parts
        if typed.node.key in TOP_LEVEL and name in part.info.parameters and name not in part.value
    ]
    data_loader = facts.registry.find_dotted(DATA_LOADER)
    if data_loader is not None and name in data_loader.parameters:
        homes += [loader.node.key for loader in facts.loaders if name not in loader.node.value]
    return homes


def _is_hook_out_of_place(facts: Facts, name: str) -> bool:
    """Whether the key holds a hook, and none of the run's is this one: a variable may have been written out with it."""
    node = facts.root.get(name)
    if node is None or not node.is_dict:
        return False
    if name in DEFAULT_HOOKS:
        return True
    is_hook = node.type is not None and facts.class_of(node, "hook") is not None
    return is_hook and all(hook.value != node.value for hook in facts.hooks)


@functools.lru_cache(maxsize=4096)
def _nearest_top_level(name: str) -> tuple[str, ...]:
    return tuple(key for key in nearest_names(name, TOP_LEVEL, limit=2) if is_misspelling(name, key))


def _read_through_base(facts: Facts, name: str) -> bool:
    return any(f"_base_.{name}" in layer.source.text for layer in facts.view.layers)
