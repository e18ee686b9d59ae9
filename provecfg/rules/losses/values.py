"""Arguments of losses that fail, or train something else: weights, exponents, fractions, reductions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.facts import Facts
from provecfg.facts.lookup import entries
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import argument_set, fix, replaced
from provecfg.rules.rule import Mark, rule


@rule("LOSS007", Severity.ERROR)
def tversky_weights(facts: Facts) -> Iterator[Mark]:
    """The weights of a TverskyLoss do not add up to 1.

    Why it matters: the loss asserts that `alpha + beta` equals 1.0 exactly, and fails when the model is built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='TverskyLoss', alpha=0.3, beta=0.3)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='TverskyLoss', alpha=0.3, beta=0.7)))

    Source: mmsegmentation 1.2.2, models/losses/tversky_loss.py.
    """
    for loss in facts.all_losses_of("TverskyLoss"):
        alpha, beta = number(loss.get("alpha")), number(loss.get("beta"))
        if alpha is not None and beta is not None and alpha + beta != 1.0:
            yield Mark(
                loss.node.get("alpha") or loss.at("beta"),
                f"alpha + beta is {alpha + beta:g}, must be 1",
                f"set beta={round(1 - alpha, 10):g}, or alpha={round(1 - beta, 10):g}",
            )


@rule("LOSS008", Severity.ERROR)
def negative_loss_weight(facts: Facts) -> Iterator[Mark]:
    """The weight of a loss is negative.

    Why it matters: nothing refuses it, and training goes up the loss instead of down.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=-0.4)))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)))

    Source: mmsegmentation 1.2.2, models/losses: each loss multiplies by it.
    """
    yield from facts.in_sections(_negative_weights)


def _negative_weights(facts: Facts, section: str) -> Iterator[Mark]:
    for typed in facts.typed_in(section):
        weight = typed.node.get("loss_weight") if typed.registry == "model" else None
        value = number(weight.value) if weight is not None else None
        if weight is not None and value is not None and value < 0:
            yield Mark(
                weight,
                f"loss weight {value:g} is negative: training goes up this loss",
                f"set loss_weight={-value:g}",
                fix("make the weight positive", replaced(weight, -value), safe=False),
            )


@rule("LOSS009", Severity.WARNING)
def zero_loss_weight(facts: Facts) -> Iterator[Mark]:
    """The weight of a loss is zero.

    Why it matters: the loss is computed at every iteration and trains nothing. If it is the only one of its head, the
    head stays as it was initialised.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.0)))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)))

    Source: mmsegmentation 1.2.2, models/losses: each loss multiplies by it.
    """
    yield from facts.in_sections(_zero_weights)


def _zero_weights(facts: Facts, section: str) -> Iterator[Mark]:
    for typed in facts.typed_in(section):
        weight = typed.node.get("loss_weight") if typed.registry == "model" else None
        if weight is not None and number(weight.value) == 0 and not _is_scheduled(facts, typed.node):
            yield Mark(weight, "loss weight 0: the loss is computed and trains nothing", "leave the loss out")


def _is_scheduled(facts: Facts, loss: Node) -> bool:
    """Whether a hook of provecfg's sets the weight at every iteration, and not always to 0: it begins there, say."""
    names = (loss.name, facts.argument(loss, "loss_name"))
    for hook in facts.hooks_of("LossWeightScheduleHook"):
        for schedule in entries(hook.get("schedules")):
            fields = schedule.value if schedule.is_dict else {}
            steps = [step.value for step in entries(schedule.get("values"))]
            is_its = fields.get("loss_name") in names and loss.key.startswith(f"model.{fields.get('head')}.")
            if is_its and any([fields.get("value"), fields.get("start"), fields.get("end"), *steps]):
                return True
    return False


@rule("LOSS019", Severity.WARNING)
def summed_loss(facts: Facts) -> Iterator[Mark]:
    """The loss is summed over the pixels.

    Why it matters: it is some 100,000 times the mean, which acts like a learning rate that much higher; other losses of
    the head vanish beside it.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='sum')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='mean')))

    Source: mmsegmentation 1.2.2, models/losses/utils.py, `weight_reduce_loss`.
    """
    for loss in facts.all_losses:
        if loss.values.get("reduction") == "sum":
            yield Mark(
                loss.at("reduction"),
                "the loss is summed over all pixels: some 100,000 times its mean",
                "set reduction='mean'",
                argument_set(loss, "reduction", "mean", "average over the pixels", safe=False),
            )


_REDUCTIONS: Final = ("none", "mean", "sum")


@rule("LOSS020", Severity.ERROR)
def unknown_reduction(facts: Facts) -> Iterator[Mark]:
    """There is no such reduction.

    Why it matters: most losses refuse it in their first forward pass only.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='avg')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='mean')))

    Source: torch.nn.functional, `_Reduction.get_enum`; mmsegmentation 1.2.2, models/losses/utils.py.
    """
    yield from facts.in_sections(_unknown_reductions)


def _unknown_reductions(facts: Facts, section: str) -> Iterator[Mark]:
    for typed in facts.typed_in(section):
        kind = typed.node.type or ""
        node = typed.node.get("reduction") if typed.registry == "model" and "Loss" in kind else None
        if node is not None and isinstance(node.value, str) and node.value not in _REDUCTIONS:
            info = facts.class_of(typed.node)
            if info is None or info.record.module.partition(".")[0] not in ("mmseg", "mmdet", "provecfg"):
                continue
            yield Mark(
                node,
                f"no reduction {node.value!r}",
                "use 'mean'",
                fix("average over the pixels", replaced(node, "mean"), safe=False),
            )


@rule("LOSS023", Severity.ERROR)
def focal_loss_needs_floats(facts: Facts) -> Iterator[Mark]:
    """FocalLoss asks for floats and lists by type.

    Why it matters: it asserts `isinstance(gamma, float)`, so `gamma=2` fails when the model is built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', gamma=2)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', gamma=2.0)))

    Source: mmsegmentation 1.2.2, models/losses/focal_loss.py, `FocalLoss.__init__`.
    """
    for loss in facts.all_losses_of("FocalLoss"):
        for name in ("gamma", "loss_weight", "alpha"):
            value = loss.values.get(name)
            if type(value) is int:
                node = loss.at(name)
                yield Mark(
                    node,
                    f"FocalLoss takes a float for {name}, not the int {value}",
                    f"write {float(value)!r}",
                    fix(f"write {float(value)!r}", replaced(node, float(value)), safe=True),
                )
        for name in ("class_weight", "alpha"):
            if isinstance(loss.values.get(name), tuple):
                yield Mark(
                    loss.at(name), f"FocalLoss takes a list for {name}, not a tuple", "write it in square brackets"
                )


@rule("LOSS024", Severity.ERROR)
def lovasz_reduction(facts: Facts) -> Iterator[Mark]:
    """LovaszLoss over the batch cannot be reduced.

    Why it matters: its own defaults, `per_image=False` with `reduction='mean'`, fail its assertion when the model is
    built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='LovaszLoss')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='LovaszLoss', per_image=True)))

    Source: mmsegmentation 1.2.2, models/losses/lovasz_loss.py, `LovaszLoss.__init__`.
    """
    for loss in facts.all_losses_of("LovaszLoss"):
        reduction = loss.get("reduction")
        if loss.get("per_image") is False and isinstance(reduction, str) and reduction != "none":
            yield Mark(
                loss.node.get("per_image") or loss.at("reduction"),
                f"LovaszLoss with per_image=False needs reduction='none', not {reduction!r}",
                "set per_image=True (a mean over images), or reduction='none' (one value for the batch)",
                argument_set(loss, "per_image", True, "compute it for each image", safe=False),
            )


@rule("LOSS027", Severity.ERROR)
def fractions_out_of_range(facts: Facts) -> Iterator[Mark]:
    """A fraction of a loss lies outside 0 and 1, or an exponent is negative.

    Why it matters: `alpha` of a focal loss weighs foreground against `1 - alpha` of background; outside 0 and 1 one of
    them is negative and training goes up its loss. A negative `gamma` favours pixels that are right already.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', alpha=25.0)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', alpha=0.25)))

    Source: Lin et al. 2017, sections 3.1 and 3.2 (arXiv:1708.02002).
    """
    for loss in facts.all_losses_of("FocalLoss", "SoftmaxFocalLoss", "TverskyLoss"):
        for name in ("alpha", "beta"):
            value = number(loss.values.get(name))
            if value is not None and not 0 <= value <= 1:
                yield Mark(loss.at(name), f"{name} {value:g} is not within 0 and 1", "give a fraction")
        gamma = number(loss.values.get("gamma"))
        if gamma is not None and gamma < 0:
            yield Mark(loss.at("gamma"), f"gamma {gamma:g} is negative", "give 0 or more")
