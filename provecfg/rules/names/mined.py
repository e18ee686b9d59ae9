"""What the classes themselves say, and what cannot be said of those that nobody has described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.arguments import Misfit
from provecfg.facts.facts import Facts
from provecfg.facts.refusals import RUNNER_NAME, Refused, RefusedInTrial
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.registry import Fate
from provecfg.registry.stated_types import DICT, NONE, NUMBERS, SEQUENCE, TEXT, kind_of, named
from provecfg.rules.names.arguments import is_harmless
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import first_few, is_misspelling


@rule("REG101", Severity.WARNING)
def class_not_found(facts: Facts) -> Iterator[Mark]:
    """Classes are registered nowhere that was read.

    Why it matters: KeyError when they are built, unless a package that training imports, and that is not part of the
    config's repository, registers them.

    Bad:
        custom_hooks = [dict(type='TellTheTeamHook')]
        my_hooks.py:
        from mmengine.hooks import Hook
        from mmengine.registry import HOOKS

        @HOOKS.register_module()
        class TellMeHook(Hook):
            pass

    Good:
        custom_hooks = [dict(type='TellMeHook')]
        my_hooks.py:
        from mmengine.hooks import Hook
        from mmengine.registry import HOOKS

        @HOOKS.register_module()
        class TellMeHook(Hook):
            pass

    Known problems: where the repository registers no class of its own, each is an error of its own, REG001. Packages
    beside the repository are read where `packages` of `[tool.provecfg]` names them.

    Source: mmengine 0.10.7, registry/registry.py.
    """
    registry = facts.registry
    if registry.is_closed or not facts.unregistered or not (registry.knows_all_names and registry.is_of_release):
        return
    names = {node.value: node for _, node in reversed(facts.unregistered)}
    names = dict(reversed(names.items()))
    typed, first = facts.unregistered[0]
    near = [name for name in registry.nearest(first.value, typed.registry) if is_misspelling(first.value, name)]
    shown = first_few([f"{name!r} ({node.parent.key})" if node.parent else repr(name) for name, node in names.items()])
    yield Mark(
        first,
        f"no class of this name is registered in what was read: {shown}",
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else "name the package that registers it in [tool.provecfg] packages, or in custom_imports",
    )


@rule("REG102", Severity.NOTE)
def classes_not_judged(facts: Facts) -> Iterator[Mark]:
    """Classes are of a scope that is not known, or may be registered by code that only running it would tell.

    Why it matters: neither their names nor their arguments were judged.

    Bad:
        default_scope = 'opencd'
        default_hooks = dict(visualization=dict(type='CDVisualizationHook'))

    Good:
        default_scope = 'mmseg'
        default_hooks = dict(visualization=dict(type='SegVisualizationHook'))

    Source: mmengine 0.10.7, registry/registry.py.
    """
    registry = facts.registry
    scope = facts.get("default_scope")
    model = facts.get("model.type")
    if scope is not None and isinstance(scope.value, str) and not registry.judges_scope(scope.value):
        yield Mark(
            scope,
            f"what scope {scope.value!r} registers is not known: names and arguments of its classes were not judged",
            "name its package in [tool.provecfg] packages",
        )
    elif scope is None and model is not None and not registry.judges_scope(registry.default_scope):
        yield Mark(
            model,
            f"no default_scope, and {str(model.value)!r} is none of mmseg's: names and arguments were not judged",
            "set default_scope to its library",
        )
    elif facts.unregistered and not registry.unread and not (registry.knows_all_names and registry.is_of_release):
        _, first = facts.unregistered[0]
        shown = first_few(list(dict.fromkeys(repr(node.value) for _, node in facts.unregistered)))
        yield Mark(
            first,
            f"not judged: {shown}; what this repository registers is known for certain only when it runs",
            "name the module that registers it in custom_imports",
        )


_OLD_STYLE: Final = "mmengine reads train_dataloader, optim_wrapper, train_cfg and their like instead"


@rule("REG103", Severity.ERROR)
def config_of_mmcv_1(facts: Facts) -> Iterator[Mark]:
    """The config is one of mmsegmentation 0.x.

    Why it matters: mmengine reads none of its data, optimizer, schedule, hooks and evaluation, so that there is nothing
    to train. Nothing else was judged.

    Bad:
        model = dict(type='EncoderDecoder')
        optimizer = dict(type='SGD', lr=0.01)
        optimizer_config = dict()
        lr_config = dict(policy='poly', power=0.9)
        runner = dict(type='IterBasedRunner', max_iters=20000)

    Good:
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
        param_scheduler = [dict(type='PolyLR', power=0.9, by_epoch=False)]

    Source: mmengine's and mmsegmentation's migration guides, 0.x to 1.x.
    """
    if facts.is_of_mmcv_1 and not facts.registry.local.is_of_mmcv_1:
        yield Mark(facts.root, "this is a config of mmsegmentation 0.x, which 1.x does not run", _OLD_STYLE)


@rule("REG104", Severity.NOTE, needs_whole=False)
def config_of_an_old_repository(facts: Facts) -> Iterator[Mark]:
    """The config is one of mmsegmentation 0.x, and so is the code of its repository.

    Why it matters: it was not judged, since mmsegmentation 1.x reads other keys.

    Bad:
        optimizer = dict(type='SGD', lr=0.01)
        optimizer_config = dict()
        lr_config = dict(policy='poly', power=0.9)
        old_hooks.py:
        from mmcv.runner import HOOKS

    Good:
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
        param_scheduler = [dict(type='PolyLR', power=0.9, by_epoch=False)]

    Source: mmengine's and mmsegmentation's migration guides, 0.x to 1.x.
    """
    if facts.is_of_mmcv_1 and facts.registry.local.is_of_mmcv_1:
        yield Mark(facts.root, "this is a config of mmsegmentation 0.x and was not judged", _OLD_STYLE)


@rule("REG105", Severity.NOTE)
def dropped_by_own_class(facts: Facts) -> Iterator[Mark]:
    """A class of the user's takes arguments without a word, and drops them.

    Why it matters: they have no effect. Often they stay from the class of a base config that it takes the place of.

    Bad:
        model = dict(backbone=dict(type='PlainNet', depth=18, dilations=(1, 1, 2, 4)))
        nets.py:
        from mmseg.registry import MODELS

        @MODELS.register_module()
        class PlainNet:
            def __init__(self, depth, **kwargs):
                self.depth = depth

    Good:
        model = dict(backbone=dict(type='PlainNet', depth=18))
        nets.py:
        from mmseg.registry import MODELS

        @MODELS.register_module()
        class PlainNet:
            def __init__(self, depth, **kwargs):
                self.depth = depth

    Known problems: an argument that looks misspelt is REG003.

    Source: the source of the class.
    """
    dropped: dict[int, tuple[Node, str, list[str]]] = {}
    for typed, info, node, fate in facts.unused_arguments:
        if fate is not Fate.SWALLOWED or not info.is_of_user or is_harmless(info, node.name):
            continue
        if not any(is_misspelling(node.name, name) for name in info.nearest(node.name)):
            dropped.setdefault(id(typed.node.value), (typed.node, info.type_name, []))[2].append(node.name)
    for node, name, keys in dropped.values():
        yield Mark(node.get("type") or node, f"{name} takes {first_few(keys)} without a word and drops them")


@rule("REG106", Severity.ERROR, needs_whole=False)
def refused_value(facts: Facts) -> Iterator[Mark]:
    """The class refuses the values that it is given.

    Why it matters: its constructor raises when the part is built: an assertion does not hold, a condition is checked,
    or the value is of a kind that it cannot work with.

    Bad:
        model = dict(backbone=dict(type='ResNet', depth=50, strides=(1, 2, 2)))

    Good:
        model = dict(backbone=dict(type='ResNet', depth=50, strides=(1, 2, 2, 2)))

    Known problems: what depends on anything but the config's own values is left alone, and so is an argument that a
    class of one's own, which is given the dict, may set in it.

    Source: the source of the class, its parents, and of the functions that they call.
    """
    yield from (_refusal(refused) for refused in facts.refusals if refused.name != RUNNER_NAME)


@rule("REG107", Severity.ERROR)
def refused_section(facts: Facts) -> Iterator[Mark]:
    """The runner refuses a top-level value.

    Why it matters: mmengine's Runner raises when it builds its data loaders, loops and hooks: it is given a list in
    place of a dict, or a fraction in place of a whole number.

    Bad:
        val_dataloader = dict(
            batch_size=1.5, sampler=dict(type='DefaultSampler'), dataset=dict(type='CityscapesDataset')
        )

    Good:
        val_dataloader = dict(
            batch_size=1, sampler=dict(type='DefaultSampler'), dataset=dict(type='CityscapesDataset')
        )

    Source: the source of the installed mmengine's `Runner`, and of torch's `DataLoader`.
    """
    yield from (_refusal(refused) for refused in facts.refusals if refused.name == RUNNER_NAME)


@rule("REG108", Severity.ERROR, needs_whole=False)
def value_of_another_kind(facts: Facts) -> Iterator[Mark]:
    """A text, a list or a dict stands where the class takes none.

    Why it matters: TypeError or AttributeError when the class works with it, which may be at the first batch or at the
    first validation.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=[8000])

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=8000)

    Known problems: only arguments of which neither annotation nor docstring nor default leaves the kind open, and none
    that a class of one's own, which is given the dict, may set in it.

    Source: the annotations, docstrings and defaults of the installed release's classes.
    """
    for misfit in facts.misfits:
        if _is_of_another_kind(misfit):
            yield _misfit(misfit)


@rule("REG109", Severity.WARNING, needs_whole=False)
def undocumented_kind(facts: Facts) -> Iterator[Mark]:
    """A value is of a kind that the class does not document for the argument.

    Why it matters: what it does is not what the documentation says, if it does not fail: half an iteration, a None that
    is no number.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_begin=0.5)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_begin=1)

    Source: the annotations, docstrings and defaults of the installed release's classes.
    """
    misfits = [misfit for misfit in facts.misfits if not _is_of_another_kind(misfit)]
    refused = {trial.node.key for trial in facts.refused_in_trials} if misfits else set()
    yield from (_misfit(misfit) for misfit in misfits if misfit.node.key not in refused)


@rule("REG110", Severity.ERROR, needs_whole=False)
def refused_in_trials(facts: Facts) -> Iterator[Mark]:
    """The class refused values of this kind when it was tried.

    Why it matters: it raises when the part is built or first used: at the first batch, the first validation.

    Bad:
        val_evaluator = dict(type='IoUMetric', iou_metrics=[['mIoU']])

    Good:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])

    Known problems: only classes of the release that provecfg knows, and only what is refused whatever their other
    arguments are; no argument that a class of one's own, which is given the dict, may set in it.

    Source: each class was built and used with values of each kind when the snapshot of the release was made.
    """
    trials = facts.refused_in_trials
    if not trials:
        return
    told = {refused.node.key for refused in facts.refusals if not refused.arguments}
    told |= {argument.key for refused in facts.refusals for argument in refused.arguments[:1]}
    told |= {misfit.node.key for misfit in facts.misfits if _is_of_another_kind(misfit)}
    yield from (_refusal_in_trials(trial) for trial in trials if trial.node.key not in told)


def _is_of_another_kind(misfit: Misfit) -> bool:
    """Whether nothing that works with the stated kinds can work with the value."""
    kind, kinds = kind_of(misfit.node.value), misfit.stated.kinds
    if kind in (TEXT, DICT):
        return True
    return kind == SEQUENCE and kinds <= NUMBERS | {NONE}


def _misfit(misfit: Misfit) -> Mark:
    node, value = misfit.node, _short(misfit.node.value)
    subject = (
        f"{misfit.argument} is {value}" if node.step == misfit.argument else f"{value} stands in {misfit.argument}"
    )
    return Mark(node, f"{subject}, and {misfit.info.type_name} takes {named(misfit.stated)} there")


def _refusal(refused: Refused) -> Mark:
    """A finding about a value that a class refuses, at the argument of which its condition speaks."""
    node, name, refusal, arguments = refused
    where = arguments[0] if arguments else node
    if arguments or not node.is_dict:
        subject = f"{_name(where)}={_short(where.value)}"
    else:
        subject = f"{' and '.join(filter(None, refusal.keys)) or 'what it is given'} as it is"
    hint = None
    if refusal.condition and refusal.condition != refusal.words:
        hint = f"{refusal.owner.rpartition('.')[2]} has: {refusal.condition}"
    return Mark(where, f"{name} refuses {subject}: {refusal.error}: {refusal.words}", hint)


def _refusal_in_trials(trial: RefusedInTrial) -> Mark:
    node, argument, name, breach = trial
    evidence = breach.evidence
    error = f"{evidence.error}: {evidence.words}" if evidence.words else evidence.error
    accepted_with = " or ".join(f"{flag}={value}" for flag, value in evidence.unless)
    return Mark(
        node,
        f"{name} refuses {argument}={_short(node.value)}: with {breach.kind} there it raises {error}",
        f"tried with {evidence.tried}" + (f"; accepted with {accepted_with}" if accepted_with else ""),
    )


def _name(node: Node) -> str:
    """The name of an argument; of an item of a list, the list's with the item's index."""
    if isinstance(node.step, int) and node.parent is not None:
        return f"{_name(node.parent)}[{node.step}]"
    return node.name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


MINED: Final = frozenset({"REG106", "REG107", "REG108", "REG109", "REG110"})
"""The rules that say what classes refuse, whose words are less helpful than those of a rule about the same value."""

OF_AN_OLD_REPOSITORY: Final = "REG104"
ABOUT_MMCV_1: Final = frozenset({"REG103", OF_AN_OLD_REPOSITORY})
"""The rules about configs that mmengine reads nothing of, of which nothing else is said."""
