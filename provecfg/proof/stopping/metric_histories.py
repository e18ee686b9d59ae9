"""Metric histories that a run could have, in units of the metric that early stopping watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from provecfg.proof.stopping.evaluator_output import EvaluatorOutput
from provecfg.proof.stopping.simulator import Script

FLAT, RISING, CREEPING, FALLING, BROKEN, RECOVERING, KILLED = (
    "flat",
    "improving by more than min_delta",
    "improving by less than min_delta",
    "getting worse",
    "NaN",
    "recovering",
    "flat, killed and resumed",
)
_STEP_WITHOUT_DELTA = 0.001
"""Of the metric's range: how much a history changes with each validation where `min_delta` is 0."""
_UNKNOWN_RANGE = 100.0


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """A history.

    Args:
        name: What it is called in a report.
        value: The watched metric by the number of the validation, from 0.
        killed_after: The run is killed after so many validations, and resumed.
    """

    name: str
    value: Callable[[int], float]
    killed_after: int | None = None


def histories(
    metric: str, output: EvaluatorOutput, rule: str, min_delta: float, patience: int, validations: int
) -> Iterator[MetricHistory]:
    """The histories for an early-stopping hook.

    Args:
        metric: What it watches.
        output: What the evaluator returns.
        rule: `greater` or `less`: which way the metric is better.
        min_delta: Without sign.
        patience: Validations, at least 1.
        validations: Of the whole run.
    """
    better = 1.0 if rule == "greater" else -1.0
    span = abs(output.span(metric) or _UNKNOWN_RANGE)
    start = _start(metric, output)
    step = better * (min_delta or span * _STEP_WITHOUT_DELTA)
    yield MetricHistory(FLAT, lambda number: start)
    yield MetricHistory(FALLING, lambda number: start - number * step / 2)
    yield MetricHistory(RISING, lambda number: start + number * 2 * step)
    if min_delta > 0:
        yield MetricHistory(CREEPING, lambda number: start + number * step / (2 * (patience + 1)))
    broken = min(2, validations - 1)
    yield MetricHistory(BROKEN, lambda number: nan if number == broken else start + number * 2 * step)
    if 1 < patience < validations:
        # Worse for one validation less than would end the run, then better than ever, and no better after that.
        yield MetricHistory(
            RECOVERING,
            lambda number: start + (0 if number == 0 else -2 * step if number < patience else 2 * step),
        )
    if validations > 1:
        yield MetricHistory(KILLED, lambda number: start, killed_after=1 + min(patience, validations - 1) // 2)


def _start(metric: str, output: EvaluatorOutput) -> float:
    poor, span = output.poor.get(metric), output.span(metric)
    return 40.0 if poor is None or span is None else float(poor) + 0.3 * span


def script(history: MetricHistory, metric: str, output: EvaluatorOutput, others: Sequence[str]) -> Script:
    """What all metrics score when one has this history: each goes as far between its poor and its perfect value.

    Args:
        history: Of the metric.
        metric: Which one it is.
        output: What the evaluator returns.
        others: Metrics that are looked for, where it is not known what the evaluator returns.
    """
    span = output.span(metric)
    if not output.is_known or not span:
        return lambda number: dict.fromkeys((metric, *others), history.value(number))
    origin = float(output.poor[metric])

    def scores(number: int) -> dict[str, Any]:
        value = history.value(number)
        share = (value - origin) / span
        return {
            name: _like(perfect, value if name == metric else _between(output, name, share, value))
            for name, perfect in output.perfect.items()
        }

    return scores


def _between(output: EvaluatorOutput, metric: str, share: float, value: float) -> float:
    span = output.span(metric)
    return value if span is None else float(output.poor[metric]) + share * span


def _like(example: Any, value: float) -> Any:
    """The number in the type that the evaluator returns: float32 rounds otherwise than Python's float."""
    return type(example)(value) if isinstance(example, float) or hasattr(example, "dtype") else value


def index_of_best(values: Sequence[float], rule: str) -> int | None:
    """The index of the best value, the first of equal ones; None where all are NaN."""
    indices = [index for index, value in enumerate(values) if not isnan(value)]
    if not indices:
        return None
    return (max if rule == "greater" else min)(indices, key=lambda index: values[index])
