"""What early-stopping and checkpoint hooks look for, against what the real evaluator returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook

from provecfg import spelling
from provecfg.findings import Finding
from provecfg.proof.stopping.evaluator_output import EvaluatorOutput
from provecfg.proof.stopping.problems import (
    BEST_IS_FIRST,
    BEST_MISSING,
    DELTA_OFF_SCALE,
    MONITOR_MISSING,
    THRESHOLD_MET,
    THRESHOLD_NEVER_MET,
    WRONG_RULE,
)
from provecfg.proof.stopping.stopping_hooks import DeclaredHook

_SMALLEST_SHARE = 1.5e-4
"""Of the way from a poor to a perfect prediction. For IoUMetric that is 0.014 points; it rounds to 0.01."""
_LARGEST_SHARE = 0.1


def check_stopping(declared: DeclaredHook, hook: EarlyStoppingHook, output: EvaluatorOutput) -> Iterator[Finding]:
    """What is wrong with an early-stopping hook's settings for metrics such as these."""
    metric = hook.monitor
    if not output.is_known:
        return
    if metric not in output.perfect:
        effect = "the first validation ends the run" if hook.strict else "the run never stops early"
        yield Finding(
            MONITOR_MISSING,
            f"the evaluator returns no {metric!r}: {effect}",
            f"{declared.key}.monitor",
            _hint(metric, output.perfect),
        )
        return
    yield from _check_direction(declared, metric, hook.rule, output)
    if output.direction(metric) != hook.rule:
        return
    better = hook.rule_map[hook.rule]
    poor, perfect, span = float(output.poor[metric]), float(output.perfect[metric]), output.span(metric) or 0.0
    threshold = number(hook.stopping_threshold)
    if threshold is not None and better(poor, threshold):
        yield Finding(
            THRESHOLD_MET,
            f"stopping_threshold {threshold:g} of {metric!r} is met by {poor:.4g}, the score of a prediction that is "
            f"wrong in nine pixels of ten; a perfect one scores {perfect:.4g}",
            f"{declared.key}.stopping_threshold",
            f"write {threshold * perfect:g}" if 0 < threshold <= 1 < perfect else None,
        )
    elif threshold is not None and not better(perfect, threshold):
        yield Finding(
            THRESHOLD_NEVER_MET,
            f"stopping_threshold {threshold:g} of {metric!r} is never met: a perfect prediction scores {perfect:.4g}",
            f"{declared.key}.stopping_threshold",
            "give a value that can be passed",
        )
    share = abs((number(hook.min_delta) or 0.0) / span)
    if 0 < share < _SMALLEST_SHARE or share > _LARGEST_SHARE:
        effect = "noise counts as progress" if share < 1 else "nothing counts as progress"
        if _LARGEST_SHARE < share < 1:
            effect = "much progress counts as none"
        yield Finding(
            DELTA_OFF_SCALE,
            f"min_delta {abs(hook.min_delta):g} of {metric!r}, which is {poor:.4g} for a prediction that is wrong in "
            f"nine pixels of ten and {perfect:.4g} for a perfect one: {effect}",
            declared.key_of("min_delta"),
            f"write {abs(span) / 1000:.1g}, a thousandth of that range",
        )


def check_best(declared: DeclaredHook, hook: CheckpointHook, output: EvaluatorOutput) -> Iterator[Finding]:
    """What is wrong with a checkpoint hook's `save_best` for metrics such as these."""
    if not output.is_known:
        return
    names = list(output.perfect)
    for index, (key, metric) in enumerate(declared.best):
        if metric == "auto":
            if len(names) > 1:
                yield Finding(
                    BEST_IS_FIRST,
                    f"save_best='auto' keeps the best checkpoint by {names[0]!r}, the first of {', '.join(names)}",
                    key,
                    f"name the metric: save_best={_likeliest(names)!r}",
                )
        elif metric not in output.perfect:
            yield Finding(
                BEST_MISSING,
                f"the evaluator returns no {metric!r}: KeyError at the first validation",
                key,
                _hint(metric, names),
            )
        else:
            yield from _check_direction(declared, metric, hook.rules[index], output)


def _check_direction(declared: DeclaredHook, metric: str, rule: Any, output: EvaluatorOutput) -> Iterator[Finding]:
    right = output.direction(metric)
    if right is None or rule == right:
        return
    key = declared.key_of("rule")
    subject = f"rule={rule!r}" if key != declared.key else f"mmengine guesses rule={rule!r}, which"
    yield Finding(
        WRONG_RULE,
        f"{subject} holds {float(output.poor[metric]):.4g} of {metric!r}, the score of a prediction that is wrong in "
        f"nine pixels of ten, for better than {float(output.perfect[metric]):.4g}, the score of a perfect one",
        key,
        f"set rule={right!r}",
    )


def number(value: Any) -> float | None:
    """The value as a float; None where it is no number."""
    return float(value) if isinstance(value, (int, float)) else None


def _hint(metric: str, names: Iterable[str]) -> str:
    names = list(names)
    if not names:
        return "it returns no metric at all: is it set to write predictions only (format_only)?"
    last = metric.rpartition("/")[2].lower()
    same = [name for name in names if name.rpartition("/")[2].lower() == last]
    near = same if len(same) == 1 else spelling.nearest_names(metric, names, limit=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}it returns {', '.join(names)}"


def _likeliest(names: list[str]) -> str:
    """The metric that segmentation is mostly judged by, or else the second."""
    return next((name for name in names if name.rpartition("/")[2] == "mIoU"), names[1])
