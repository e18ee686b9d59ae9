"""How many seeds a study needs to settle a question, before it is trained."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from provecfg.results.run_scores import score_runs
from provecfg.results.runs import Run
from provecfg.results.statistics import ALPHA, FEWEST_BLOCKS, FEWEST_SEEDS, seeds_needed, smallest_effect
from provecfg.results.study import JUDGED_AT, PRIMARY

SHOWN_SEEDS: Final = (1, 2, 3, 5, 8, 12)
"""Numbers of seeds for which the smallest effect is shown."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a study is to find out.

    Args:
        effect: The smallest difference to the reference that it is to find, in points.
        models: How many it has.
        losses: How many are compared with the reference.
        contexts: Datasets times strategies.
    """

    effect: float
    models: int
    losses: int
    contexts: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What it takes.

    Args:
        run_sd: Standard deviation of a training, in points, that this is for.
        seeds: Seeds a cell; None if more than anybody trains.
        smallest: Seeds -> the smallest effect that so many find in four studies of five; None where there is no test.
    """

    run_sd: float
    seeds: int | None
    smallest: Mapping[int, float | None]


def answer(question: Question, run_sd: float) -> Answer:
    """What it takes to settle a question where a training varies so much."""
    seeds = seeds_needed(
        question.effect, run_sd, blocks=question.models, losses=question.losses, contexts=question.contexts
    )
    return Answer(run_sd, seeds, {count: _smallest(question, run_sd, count) for count in SHOWN_SEEDS})


def _smallest(question: Question, run_sd: float, seeds: int) -> float | None:
    alpha, sd = ALPHA / question.losses, math.sqrt(2 / question.contexts) * run_sd
    if question.models >= FEWEST_BLOCKS:
        return smallest_effect(sd / math.sqrt(seeds), question.models, alpha)
    if seeds >= FEWEST_SEEDS:
        return smallest_effect(sd / math.sqrt(question.models), seeds, alpha)
    return None


@dataclass(frozen=True, slots=True)
class Measured:
    """How much earlier trainings varied.

    Args:
        run_sd: Standard deviation of a training within its cell, pooled over cells; None where no cell has two seeds.
        cells: How many cells that is of.
    """

    run_sd: float | None
    cells: int


def measured(runs: Sequence[Run]) -> Measured:
    """What complete runs tell of noise."""
    complete = [run for run in runs if run.state.is_complete and run.cell]
    scores: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for run, scored in zip(complete, score_runs(complete), strict=True):
        value = scored.scores.get(JUDGED_AT, {}).get(PRIMARY)
        if value is not None and not scored.problem:
            scores[tuple(part for axis, part in run.cell.items() if axis != "seed")].append(value)
    repeated = [values for values in scores.values() if len(values) > 1]
    squares = sum((value - fmean(values)) ** 2 for values in repeated for value in values)
    freedom = sum(len(values) - 1 for values in repeated)
    return Measured(math.sqrt(squares / freedom) if freedom else None, len(repeated))
