"""Which parameters each loss moves, and whether a gradient is no finite number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from provecfg.findings import Finding
from provecfg.proof.step.equation import EquationTerm
from provecfg.proof.step.problems import NOT_FINITE, TRAINS_NOTHING, UNUSED_PARAMETERS
from provecfg.proof.step.training_step import TrainingStep
from provecfg.spelling import first_few as some

_SHOWN = 4
"""How many names of parameters a message has."""


@dataclass(slots=True)
class Reach:
    """What one loss moves.

    Args:
        term: Of the loss.
        head: Parameters of its head that it moves, out of how many.
        elsewhere: Of the rest of the model beside the backbone (a neck, the heads before it), that it moves.
        backbone: Whether it moves what the backbone puts out; None where that cannot be told.
    """

    term: EquationTerm
    head: tuple[int, int]
    elsewhere: int
    backbone: bool | None


@dataclass(slots=True)
class Gradients:
    """What all losses move.

    Args:
        reaches: Of each loss that is in the total.
        parameters: Trainable ones.
        moved: Those with a gradient that is not zero.
        unused: Names of those that no loss depends on.
        still: Names of those with a gradient of zero throughout.
        not_finite: Names of those with a NaN or infinite gradient.
    """

    reaches: list[Reach] = field(default_factory=list)
    parameters: int = 0
    moved: int = 0
    unused: list[str] = field(default_factory=list)
    still: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)


def gradients_of(model: nn.Module, step: TrainingStep, terms: Sequence[EquationTerm]) -> Gradients:
    """Differentiate each loss alone, and their sum.

    The backbone is passed once, for all losses together: what a loss does to it is told by its features.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    inner = {name for name in named if step.features and name.startswith("backbone.")}
    outer = [name for name in named if name not in inner]
    counting = [term for term in terms if term.factors]
    result = Gradients(parameters=len(named))
    sums: dict[str, Tensor | None] = dict.fromkeys(outer)
    feature_sums: list[Tensor | None] = [None] * len(step.features)
    targets = [*(named[name] for name in outer), *step.features]
    for term in counting:
        gradients = torch.autograd.grad(term.outputs, targets, term.factors, retain_graph=True, allow_unused=True)
        of_outer, of_features = gradients[: len(outer)], gradients[len(outer) :]
        result.reaches.append(_reach(term, dict(zip(outer, of_outer, strict=True)), of_features))
        for name, gradient in zip(outer, of_outer, strict=True):
            sums[name] = _added(sums[name], gradient)
        feature_sums = [_added(old, gradient) for old, gradient in zip(feature_sums, of_features, strict=True)]
    sums.update(_of_backbone(step, {name: named[name] for name in inner}, feature_sums))
    if counting and any(gradient is None for gradient in sums.values()):
        # Code around the backbone's `forward` may use its parameters: ask the whole graph.
        missing = [name for name, gradient in sums.items() if gradient is None]
        whole = torch.autograd.grad(step.total, [named[name] for name in missing], retain_graph=True, allow_unused=True)
        sums.update(zip(missing, whole, strict=True))
    for name in named:
        total = sums[name]
        if total is None:
            result.unused.append(name)
        elif not math.isfinite(size := size_of(total)):
            result.not_finite.append(name)
        elif size == 0:
            result.still.append(name)
        else:
            result.moved += 1
    return result


def _added(gradient: Tensor | None, further: Tensor | None) -> Tensor | None:
    if gradient is None or further is None:
        return further if gradient is None else gradient
    return gradient + further


def _of_backbone(
    step: TrainingStep, parameters: dict[str, Tensor], feature_sums: Sequence[Tensor | None]
) -> dict[str, Tensor | None]:
    used = [
        (feature, gradient)
        for feature, gradient in zip(step.features, feature_sums, strict=True)
        if gradient is not None
    ]
    if not parameters or not used:
        return dict.fromkeys(parameters)
    features, gradients = zip(*used, strict=True)
    inner = torch.autograd.grad(features, list(parameters.values()), gradients, retain_graph=True, allow_unused=True)
    return dict(zip(parameters, inner, strict=True))


def _is_moved(gradient: Tensor | None) -> bool:
    return gradient is not None and size_of(gradient) != 0


def size_of(gradient: Tensor) -> float:
    """The largest entry by size; NaN where one is."""
    return float(torch.linalg.vector_norm(gradient, math.inf))


def _reach(term: EquationTerm, outer: dict[str, Tensor | None], features: Sequence[Tensor | None]) -> Reach:
    prefix = term.loss.head_key.removeprefix("model.").replace("[", ".").replace("]", "") + "."
    of_head = [gradient for name, gradient in outer.items() if name.startswith(prefix)]
    elsewhere = sum(_is_moved(gradient) for name, gradient in outer.items() if not name.startswith(prefix))
    backbone = any(_is_moved(gradient) for gradient in features) if features else None
    return Reach(term, (sum(map(_is_moved, of_head)), len(of_head)), elsewhere, backbone)


def check_gradients(gradients: Gradients, *, may_be_unused: bool) -> list[Finding]:
    """What is wrong with the gradients.

    Args:
        gradients: Of a step.
        may_be_unused: Whether the config tells DDP to look for unused parameters.
    """
    findings = []
    for reach in gradients.reaches:
        loss = reach.term.loss
        if loss.weight == 0:
            continue  # the equation says so, or it is the start of a schedule
        moved, among = reach.head
        if among and not moved and not reach.elsewhere:
            findings.append(
                Finding(
                    TRAINS_NOTHING,
                    f"{loss.title} moves none of the {among} parameters of its head: its value is "
                    f"{reach.term.raw:.6g} whatever the head predicts",
                    loss.key,
                    hint="it is constant for this number of outputs, or weighted by zeros",
                )
            )
    if gradients.unused and not may_be_unused:
        findings.append(
            Finding(
                UNUSED_PARAMETERS,
                f"{len(gradients.unused)} trainable parameters take part in no loss: {grouped(gradients.unused)}",
                "model",
                hint="take them out or freeze them; if they are unused in some iterations only, set "
                "find_unused_parameters=True",
            )
        )
    if gradients.not_finite:
        findings.append(
            Finding(
                NOT_FINITE,
                f"the gradient of {len(gradients.not_finite)} parameters is NaN or infinite: "
                f"{grouped(gradients.not_finite)}",
                "model",
            )
        )
    return findings


def grouped(names: Sequence[str]) -> str:
    """Names of parameters by the part of the model that has them: `backbone.fc (2)`."""
    parts = Counter(
        ".".join(name.split(".")[:2]) if name.count(".") > 1 else name.rpartition(".")[0] or name for name in names
    )
    return some([f"{part} ({count})" for part, count in parts.items()], _SHOWN)
