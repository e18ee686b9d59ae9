"""The optimizer, its wrapper, and settings of the run that are checked only when it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number, whole
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.registry.layout import CHECKPOINT_HOOKS, DEFAULT_HOOKS
from provecfg.rules.edits import fix, renamed
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names

_WRAPPERS: Final = (None, "OptimWrapper", "AmpOptimWrapper", "ApexOptimWrapper")
_CONSTRUCTORS: Final = (
    None,
    "DefaultOptimWrapperConstructor",
    "LearningRateDecayOptimizerConstructor",
    "LayerDecayOptimizerConstructor",
)


_WHOLE: Final = ("model", "train_cfg", "train_dataloader", "default_scope")


@rule("RUN007", Severity.ERROR)
def optimizer_missing(facts: Facts) -> Iterator[Mark]:
    """The optimizer wrapper has no optimizer.

    Why it matters: an AssertionError before the first iteration.

    Bad:
        model = dict(
            type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='FCNHead', in_channels=512, in_index=3, channels=128, num_classes=19))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset'))
        optim_wrapper = dict(type='OptimWrapper', clip_grad=dict(max_norm=1.0))
        default_scope = 'mmseg'

    Good:
        model = dict(
            type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=18),
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
    known = wrapper.type in _WRAPPERS and facts.value(wrapper, "constructor") in _CONSTRUCTORS
    if known and "optimizer" not in wrapper.value:
        yield Mark(wrapper, "optim_wrapper has no optimizer", "give it one", missing="optimizer")


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
        what = "nothing is trained" if value == 0 else "it is negative"
        yield Mark(rate, f"the learning rate is {value:g}: {what}", "set a positive one")
    for name, (low, high, what) in _BOUNDS.items():
        node = optimizer.get(name)
        value = number(node.value) if node is not None else None
        if node is not None and value is not None and not low <= value < high:
            yield Mark(node, f"{name} is {value:g}, {what}", f"set one from {low:g}")
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
    very end.

    Bad:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), accumulative_counts=40000)

    Good:
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01), accumulative_counts=4)

    Source: mmengine 0.10.7, optim/optimizer/optimizer_wrapper.py, `should_update`.
    """
    node = facts.get("optim_wrapper.accumulative_counts")
    found = whole(node.value) if node is not None else None
    if node is None or found is None:
        return
    length = facts.schedule.length if facts.schedule.by_epoch is False else None
    if found < 1:
        yield Mark(node, f"gradients of {found} iterations make a step", "set 1 or more")
    elif length is not None and length <= found:
        yield Mark(node, f"a step every {found} iterations, and the run has {length}", "gather fewer")


_LEVELS: Final = ("CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET")
_STARTS: Final = ("fork", "spawn", "forkserver")


@rule("RUN011", Severity.ERROR)
def unknown_setting(facts: Facts) -> Iterator[Mark]:
    """A setting of the run has a value that there is not.

    Why it matters: it is handed to Python's logging, multiprocessing or random numbers when the run starts, and
    refused.

    Bad:
        log_level = 'INFOS'

    Good:
        log_level = 'INFO'

    Source: mmengine 0.10.7, runner/utils.py, `set_random_seed`; utils/dl_utils/setup_env.py; logging/logger.py.
    """
    for key, known in (("log_level", _LEVELS), ("env_cfg.mp_cfg.mp_start_method", _STARTS)):
        node = facts.get(key)
        if node is not None and isinstance(node.value, str) and node.value not in known:
            near = nearest_names(node.value, known, limit=1)
            yield Mark(
                node,
                f"there is no {node.value!r}",
                f"did you mean {near[0]!r}?" if near else f"it is {', '.join(known)}",
            )
    seed = facts.get("randomness.seed")
    if seed is not None and not seed.is_opaque and _is_no_seed(seed.value):
        yield Mark(seed, f"the seed is {seed.value!r}, and no whole number from 0", "write it without quotes")


def _is_no_seed(value: Any) -> bool:
    return isinstance(value, (str, float)) or (isinstance(value, int) and not 0 <= value < 2**32)


@rule("RUN012", Severity.WARNING)
def curves_go_nowhere(facts: Facts) -> Iterator[Mark]:
    """Nothing keeps the scalars that are logged.

    Why it matters: losses, rates and metrics go through the visualizer's backends. Without one there is no scalars.json
    and no event file, and the run's curves are in the text of its log alone.

    Bad:
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[])

    Good:
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])

    Known problems: a visualizer that does not mention `vis_backends` is taken for a fragment.

    Source: mmengine 0.10.7, visualization/visualizer.py, `__init__`; hooks/logger_hook.py.
    """
    visualizer = facts.section("visualizer")
    node = visualizer.get("vis_backends") if visualizer is not None else None
    if node is not None and (node.value is None or node.value in ([], ())):
        yield Mark(node, "no backend keeps what is logged", "set vis_backends=[dict(type='LocalVisBackend')]")


_DEFAULT_SLOTS: Final = {hook["type"]: slot for slot, hook in DEFAULT_HOOKS.items() if slot != "checkpoint"}


@rule("RUN013", Severity.ERROR)
def hook_runs_twice(facts: Facts) -> Iterator[Mark]:
    """A hook that the runner registers by itself is registered once more.

    Why it matters: the runner has a timer, a logger, a checkpoint hook and one that steps the learning rate unless the
    config says otherwise under that very name. Under another one both run: rates are stepped twice an iteration, and
    the schedule is over in the middle of the run.

    Bad:
        default_hooks = dict(param_schedule=dict(type='ParamSchedulerHook'))

    Good:
        default_hooks = dict(param_scheduler=dict(type='ParamSchedulerHook'))

    Source: mmengine 0.10.7, runner/runner.py, `register_default_hooks`.
    """
    default = facts.section("default_hooks")
    for hook in facts.hooks:
        slot = _DEFAULT_SLOTS.get(hook.type or "")
        if hook.type in CHECKPOINT_HOOKS and hook.parent is not None and hook.parent.name == "default_hooks":
            slot = "checkpoint"
        if slot is None or hook.name == slot or _is_off(default, slot):
            continue
        in_default = hook.parent is not None and hook.parent.name == "default_hooks"
        if slot == "checkpoint" and default is not None and slot in default.value:
            continue  # a second one, beside the first: two ways of keeping checkpoints
        free = default is None or slot not in default.value
        yield Mark(
            hook,
            f"{hook.type} under {hook.name!r} runs beside the runner's own {slot}",
            f"call it {slot}" if in_default else f"set default_hooks.{slot}",
            fix(f"rename it to {slot!r}", renamed(hook, slot), safe=False) if in_default and free else None,
            at_key=True,
        )


def _is_off(default: Node | None, slot: str) -> bool:
    return default is not None and slot in default.value and default.value[slot] is None
