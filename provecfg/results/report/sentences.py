"""Verdicts in words: one sentence or two for each loss and metric, which say what the numbers allow and no more."""

from __future__ import annotations

import enum

from provecfg.results.statistics import MOST_SEEDS, Comparison, Design, seeds_to_find, smallest_effect_of
from provecfg.results.study import StudyResults, Verdict


class Outcome(enum.Enum):
    """What a study says of a loss by a metric."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DECIDED = "not decided"
    CANNOT_BE_DECIDED = "cannot be decided"


def outcome_of(verdict: Verdict) -> Outcome:
    """What a verdict comes to."""
    comparison = verdict.comparison
    if comparison.p is None:
        return Outcome.CANNOT_BE_DECIDED
    if not comparison.is_effect:
        return Outcome.NOT_DECIDED
    return Outcome.BETTER if (comparison.effect > 0) == verdict.metric.higher_is_better else Outcome.WORSE


def sentence(verdict: Verdict, results: StudyResults) -> str:
    """A verdict in words."""
    comparison, outcome, reference = verdict.comparison, outcome_of(verdict), results.reference
    if outcome is Outcome.CANNOT_BE_DECIDED:
        return f"{comparison.loss}: {comparison.reason}."
    if outcome is Outcome.NOT_DECIDED:
        difference = (
            f"Whether {comparison.loss} differs from {reference} is not decided: the difference is "
            f"{comparison.effect:+.2f} points ({evidence(comparison)})."
        )
        return " ".join([difference, *_what_would_decide(comparison, results.block)])
    return (
        f"{comparison.loss} is {outcome.value} than {reference}, by {abs(comparison.effect):.2f} points "
        f"({evidence(comparison)}; {design(comparison, results)})."
    )


def evidence(comparison: Comparison) -> str:
    """Interval and p-value of a comparison that has them."""
    assert comparison.interval is not None
    assert comparison.level is not None
    assert comparison.p_holm is not None
    low, high = comparison.interval
    p = "p < 0.001" if comparison.p_holm < 0.001 else f"p = {comparison.p_holm:.3f}"
    return f"{100 * comparison.level:.1f} % interval {low:+.2f} to {high:+.2f}, {p} by Holm"


def design(comparison: Comparison, results: StudyResults) -> str:
    """What was paired, and whom a comparison is about."""
    count = len(comparison.differences)
    if comparison.design is Design.BLOCKS:
        seeds = f"{comparison.seeds:g}" if comparison.seeds % 1 == 0 else f"{comparison.seeds:.1f}"
        return f"paired t-test over {count} {results.block}s, {seeds} seed{'s' * (seeds != '1')} a cell"
    if comparison.design is Design.SEEDS:
        blocks = ", ".join(dict.fromkeys(cell.coordinates[results.block] for cell in results.included))
        return f"paired t-test over {count} seeds, which is about {blocks} alone"
    return comparison.reason


def _what_would_decide(comparison: Comparison, block: str) -> list[str]:
    smallest = smallest_effect_of(comparison)
    sentences = []
    if smallest is not None:
        sentences.append(f"Four such studies of five would have found an effect of {smallest:.2f} points.")
    seeds = seeds_to_find(comparison.effect, comparison)
    if comparison.run_sd is None:
        sentences.append("With one seed a cell nothing is known of the noise of training.")
    elif seeds is None:
        more = f"; more {block}s might do" if comparison.design is Design.BLOCKS else ""
        sentences.append(f"To settle a difference of this size, {MOST_SEEDS} seeds a cell would be too few{more}.")
    else:
        sentences.append(f"To settle a difference of this size, {seeds} seeds a cell would do.")
    return sentences


def limits(results: StudyResults) -> list[str]:
    """What the study cannot say."""
    included = results.included
    sentences = []
    for axis, noun in (("dataset", "dataset"), ("strategy", "augmentation strategy"), ("model", "model")):
        values = list(dict.fromkeys(cell.coordinates[axis] for cell in included))
        if len(values) == 1:
            sentences.append(f"Nothing of it is about another {noun} than {values[0]}.")
    if any(verdict.comparison.design is Design.BLOCKS for verdict in results.verdicts):
        sentences.append(
            f"A verdict is about the mean over {results.block}s like these; a loss that is better on average may be "
            "worse for one of them."
        )
    excluded = len(results.cells) - len(included)
    if excluded:
        sentences.append(
            f"{excluded} of {len(results.cells)} cells enter no mean and no test, for the reasons given below."
        )
    if not results.reference:
        sentences.append("It has one loss, so there is nothing to compare.")
    return sentences
