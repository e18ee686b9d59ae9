"""The total that is optimised, taken apart into the losses that the config declares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from provecfg.equation import WeightedTerm, equation_text
from provecfg.findings import Finding
from provecfg.proof.step.declared_losses import DeclaredLoss
from provecfg.proof.step.problems import (
    NEVER_COMPUTED,
    NOT_FINITE,
    NOT_IN_TOTAL,
    NOT_POSITIVE,
    SAME_LOG_KEY,
    UNDECLARED_TERM,
    WRONG_WEIGHT,
)
from provecfg.proof.step.training_step import LossCall, TrainingStep

TOLERANCE = 1e-5
"""Of the total, relative where it is larger than 1."""


@dataclass(slots=True)
class EquationTerm:
    """One declared loss in the total.

    Args:
        loss: Which.
        calls: How often it was computed.
        raw: Its value without weight, summed over its calls; NaN where it was not computed.
        weighted: Its part of the total.
        outputs: Its values in the step's graph, one for each call that counts.
        factors: d total / d value, for each of `outputs`.
        log_keys: Under which it is logged.
    """

    loss: DeclaredLoss
    calls: int = 0
    raw: float = math.nan
    weighted: float = 0.0
    outputs: list[Tensor] = field(default_factory=list)
    factors: list[Tensor] = field(default_factory=list)
    log_keys: list[str] = field(default_factory=list)

    @property
    def declared_part(self) -> float:
        """What it would be in the total by its declared weight: weight x raw value."""
        return float(self.loss.weight) * self.raw if self.calls and self.loss.has_usable_weight else 0.0


@dataclass(slots=True)
class Equation:
    """A total and its terms."""

    total: float
    terms: list[EquationTerm]
    undeclared: dict[str, float] = field(default_factory=dict)
    """Log keys that are in the total with more or less than their declared losses, and by how much."""

    @property
    def declared_total(self) -> float:
        """The sum of weight x term over all declared losses."""
        return math.fsum(term.declared_part for term in self.terms)

    @property
    def holds(self) -> bool:
        """Whether the total is that sum."""
        return is_equal(self.total, self.declared_total)

    def share(self, term: EquationTerm) -> float:
        """The share of a term in the total, by size: shares add up to 1."""
        size = math.fsum(abs(other.weighted) for other in self.terms)
        return abs(term.weighted) / size if size > 0 else 0.0

    def as_text(self) -> str:
        """`total = 1 CE[decode] + 0.3 focal[decode]`, of the terms that are in it."""
        terms = [
            WeightedTerm(float(term.loss.weight), term.loss.name, term.loss.head)
            for term in self.terms
            if term.factors and term.loss.has_usable_weight
        ]
        return equation_text(terms, self.undeclared)


def is_equal(value: float, other: float) -> bool:
    """Whether two values of a loss are the same to `TOLERANCE`."""
    return abs(value - other) <= TOLERANCE * max(1.0, abs(value), abs(other))


def equation_of(step: TrainingStep, losses: Sequence[DeclaredLoss]) -> Equation:
    """Take the total of a step apart: each loss's part is what the total's derivative says, not what its name says."""
    calls = step.calls
    values = [call.value for call in calls]
    in_total = _derivatives(step.total, values)
    in_log = {key: _derivatives(value, values) for key, value in step.logged.items()}
    terms = []
    for loss in losses:
        term = EquationTerm(loss)
        raws = []
        for index, call in enumerate(calls):
            if call.loss is not loss:
                continue
            term.calls += 1
            term.log_keys += [key for key, derivatives in in_log.items() if derivatives[index] is not None]
            raws.append(_raw_value(call))
            factor = in_total[index]
            if factor is not None:
                term.outputs.append(call.value)
                term.factors.append(factor)
                term.weighted += _sum(factor * call.value)
        term.raw = math.fsum(raws) if raws else math.nan
        terms.append(term)
    equation = Equation(float(step.total.detach()), terms)
    equation.undeclared = _undeclared(step, in_log, values)
    return equation


def _derivatives(value: Tensor, inputs: list[Tensor]) -> list[Tensor | None]:
    if not value.requires_grad or not inputs:
        return [None] * len(inputs)
    wanted = [index for index, tensor in enumerate(inputs) if tensor.requires_grad]
    gradients = torch.autograd.grad(value, [inputs[index] for index in wanted], retain_graph=True, allow_unused=True)
    derivatives: list[Tensor | None] = [None] * len(inputs)
    for index, gradient in zip(wanted, gradients, strict=True):
        derivatives[index] = gradient
    return derivatives


def _sum(values: Tensor) -> float:
    return float(values.detach().double().sum())


def _raw_value(call: LossCall) -> float:
    """The value of a call at weight 1, as the log reduces it."""
    module: Any = call.loss.module
    weight = call.loss.weight
    own = getattr(module, "loss_weight", None)
    if isinstance(own, (int, float)) and not isinstance(own, bool):
        try:
            module.loss_weight = 1.0
            with torch.no_grad():
                raw: Tensor = module(*call.args, **call.kwargs)
            return _sum(raw.double().mean())
        except Exception:  # a loss that can be called once, or whose weight is not to be set
            pass
        finally:
            module.loss_weight = own
    value = _sum(call.value.detach().double().mean())
    return value / weight if call.loss.has_usable_weight and weight else value


def _undeclared(step: TrainingStep, in_log: dict[str, list[Tensor | None]], values: list[Tensor]) -> dict[str, float]:
    """What is in the total beside the values of losses, by log key."""
    undeclared = {}
    for key, value in step.logged.items():
        if "loss" not in key:
            continue
        explained = math.fsum(
            _sum(derivative * call)
            for derivative, call in zip(in_log[key], values, strict=True)
            if derivative is not None
        )
        rest = float(value.detach()) - explained
        if math.isfinite(rest) and not is_equal(float(value.detach()), explained):
            undeclared[key] = rest
    return undeclared


def check_equation(equation: Equation) -> list[Finding]:
    """What is wrong with the total."""
    findings: list[Finding] = []
    for term in equation.terms:
        findings += _check_term(term)
    findings += _check_log_keys(equation.terms)
    for key, rest in equation.undeclared.items():
        findings.append(
            Finding(
                UNDECLARED_TERM,
                f"{key!r} puts {rest:.6g} into the total that no loss of the config explains",
                "model",
                hint="a head adds it by itself: declare it as a loss, or take 'loss' out of its key to log it only",
            )
        )
    if not findings and not equation.holds:
        findings.append(
            Finding(
                UNDECLARED_TERM,
                f"the optimised total is {equation.total:.7g}, the declared losses add up to "
                f"{equation.declared_total:.7g}",
                "model",
            )
        )
    return findings


def _check_term(term: EquationTerm) -> list[Finding]:
    loss = term.loss
    if term.calls == 0:
        if not loss.config:
            return []  # nobody asked for it
        what = "is built and never computed" if loss.module is not None else "is never built"
        return [
            Finding(
                NEVER_COMPUTED,
                f"{loss.title} {what}: a training step does not have it",
                loss.key,
                hint=f"the class of {loss.head_key} does not use it: take it out, or use a head that does",
            )
        ]
    if not loss.has_usable_weight:
        return []  # a step with it does not get here
    if not math.isfinite(term.raw):
        return [Finding(NOT_FINITE, f"{loss.title} is {term.raw} on a batch with labels", loss.key)]
    if not term.factors and term.raw != 0.0:
        keys = ", ".join(repr(key) for key in dict.fromkeys(term.log_keys))
        logged = f"is logged as {keys}, and" if keys else "is computed, and"
        return [
            Finding(
                NOT_IN_TOTAL,
                f"{loss.title} {logged} is not in the total that is optimised",
                _name_key(loss),
                hint="mmengine trains on what has 'loss' in its log key: name it so, as loss_name='loss_...'",
            )
        ]
    if loss.weight <= 0 and not (loss.is_scheduled and loss.weight == 0):
        does = "trains nothing" if loss.weight == 0 else "is made larger instead of smaller"
        return [
            Finding(
                NOT_POSITIVE,
                f"{loss.title} has weight {_signed(loss.weight)}: it {does}",
                f"{loss.key}.loss_weight",
                hint="give it a weight above 0, or take it out",
            )
        ]
    if not is_equal(term.weighted, term.declared_part):
        seen = term.weighted / term.raw if term.raw else math.nan
        return [
            Finding(
                WRONG_WEIGHT,
                f"{loss.title} counts {seen:.6g} times in the total, and is declared with weight {loss.weight}",
                f"{loss.key}.loss_weight" if "loss_weight" in loss.config else loss.key,
                hint="its class does not use loss_weight, or the head changes its value",
            )
        ]
    return []


def _signed(weight: Any) -> str:
    return f"{weight:g}"


def _name_key(loss: DeclaredLoss) -> str:
    return f"{loss.key}.loss_name" if "loss_name" in loss.config else loss.key


def _check_log_keys(terms: list[EquationTerm]) -> list[Finding]:
    findings = []
    for index, term in enumerate(terms):
        earlier = [other for other in terms[:index] if set(other.log_keys) & set(term.log_keys)]
        if earlier and term.loss.config:
            shared = sorted(set(earlier[0].log_keys) & set(term.log_keys))[0]
            findings.append(
                Finding(
                    SAME_LOG_KEY,
                    f"{term.loss.title} and {earlier[0].loss.title} are logged as one, {shared!r}: their sum",
                    _name_key(term.loss),
                    hint="give each a loss_name of its own, with 'loss' in it",
                )
            )
    return findings
