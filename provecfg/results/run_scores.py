"""The scores of one run: at its best validation, at its last, and on average over its last four."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Final

import numpy as np

from provecfg.counts.boundary_bands import FRACTIONS
from provecfg.counts.calibration import BINS
from provecfg.counts.counts_file import CountsFile
from provecfg.counts.image import LABEL, Counts
from provecfg.errors import ProvecfgError
from provecfg.facts.metrics import better
from provecfg.parallel import map_in_processes
from provecfg.proof.stopping.finished_log import Validation
from provecfg.results.runs import Run
from provecfg.results.scores import METRICS, Scores, ValidationScores, pixel_accuracy

LAST: Final = 4
"""Validations at the end of a run that its score is averaged over."""
_ROUNDED: Final = 0.011
"""mmseg rounds its scores to hundredths of a point, from sums of 32 bits."""


class Moment(enum.Enum):
    """When a run is judged."""

    LAST_FOUR = "last four"
    LAST = "last"
    BEST = "best"


@dataclass(frozen=True)
class RunScores:
    """The scores of a run, in points.

    Args:
        goal: The metric of the log that tells the best validation, or None where the log has none.
        best, last: Their iterations, or None.
        averaged: Validations that the scores of `Moment.LAST_FOUR` are averaged over.
        scores: Moment -> key of a metric of `METRICS` -> its score; what is not known is not in it.
        classes: Names of the classes, where there are counts.
        class_iou, class_boundary_iou: (C,) at `Moment.LAST_FOUR`, the latter in the band of 0.5 %; NaN for what is not
            known; empty where there are no counts.
        boundary_by_width: (F,) Boundary mIoU in the bands of `FRACTIONS`, at `Moment.LAST_FOUR`; empty as before.
        calibration: (BINS, 3) of the last validation.
        confusion: (C + 1, C + 1) of the last validation, by label and prediction; empty where there are no counts.
        labels: (C,) labelled pixels of each class.
        image_iou: (N,) mean IoU of each image at the last validation, in the order of its counts; empty where there are
            none.
        problem: Why it cannot be used, or "".
    """

    goal: str | None = None
    best: int | None = None
    last: int | None = None
    averaged: int = 0
    scores: Mapping[Moment, Mapping[str, float]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    class_iou: Scores = field(default_factory=lambda: np.zeros(0))
    class_boundary_iou: Scores = field(default_factory=lambda: np.zeros(0))
    boundary_by_width: Scores = field(default_factory=lambda: np.zeros(0))
    calibration: Counts = field(default_factory=lambda: np.zeros((BINS, 3), np.int64))
    confusion: Counts = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    labels: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    image_iou: Scores = field(default_factory=lambda: np.zeros(0))
    problem: str = ""


def score_runs(runs: Sequence[Run], processes: int | None = None) -> list[RunScores]:
    """The scores of runs, worked out by several processes."""
    return map_in_processes(score_run, runs, processes)


def score_run(run: Run) -> RunScores:
    """The scores of a run, from counts where they are kept, else from the log, which has some of them, rounded."""
    goal = goal_of(run)
    if goal is None:
        return RunScores(problem="no validation with an mIoU is logged")
    validations = run.validations
    missing = [validation.iteration for validation in validations[-LAST:] if goal not in validation.metrics]
    if missing:
        return RunScores(goal, problem=f"{goal} at iteration {missing[-1]} is missing or no number")
    judged = [validation for validation in validations if goal in validation.metrics]
    direction = -1.0 if better(goal) == "less" else 1.0
    best = max(judged, key=lambda validation: direction * validation.metrics[goal])
    chosen = {Moment.BEST: [best], Moment.LAST: judged[-1:], Moment.LAST_FOUR: judged[-LAST:]}
    looked_at = {validation.iteration: validation for validations in chosen.values() for validation in validations}
    try:
        of_counts = {
            iteration: _scores_of(run.counts[iteration], validation)
            for iteration, validation in looked_at.items()
            if iteration in run.counts
        }
    except ProvecfgError as error:
        return RunScores(goal, problem=error.message)
    rows = {iteration: _row(validation, of_counts.get(iteration)) for iteration, validation in looked_at.items()}
    scored = RunScores(
        goal,
        best=best.iteration,
        last=judged[-1].iteration,
        averaged=len(chosen[Moment.LAST_FOUR]),
        scores={moment: _means([rows[validation.iteration] for validation in own]) for moment, own in chosen.items()},
    )
    averaged = [of_counts.get(validation.iteration) for validation in chosen[Moment.LAST_FOUR]]
    final = averaged[-1]
    if final is None:
        return scored
    scored = replace(scored, image_iou=final.image_iou)
    kept = [scores for scores in averaged if scores is not None]
    return _with_classes(scored, kept) if len(kept) == len(averaged) else scored


def _with_classes(scored: RunScores, validations: Sequence[ValidationScores]) -> RunScores:
    """The scores with those of classes and bands, averaged over validations, and the sums of the last of these."""
    counts = validations[-1].counts
    return replace(
        scored,
        classes=counts.classes,
        class_iou=_mean([scores.class_iou for scores in validations]),
        class_boundary_iou=_mean([scores.band_iou[FRACTIONS.index(0.005)] for scores in validations]),
        boundary_by_width=_mean([scores.band_miou for scores in validations]),
        calibration=counts.calibration.sum(axis=0) if len(counts.calibration) else np.zeros((BINS, 3), np.int64),
        confusion=counts.confusion,
        labels=counts.totals[:, LABEL],
    )


def goal_of(run: Run) -> str | None:
    """The metric by which a run's best validation is told: the one of its best checkpoint, or else its mIoU."""
    logged = dict.fromkeys(name for validation in run.validations for name in validation.metrics)
    if run.goal in logged:
        return run.goal
    return next((name for name in logged if name.rpartition("/")[2] == "mIoU"), None)


def _scores_of(file: CountsFile, validation: Validation) -> ValidationScores:
    """The scores of a validation from its counts.

    Raises:
        ProvecfgError: They are damaged, or of another validation than the log's.
    """
    counts = file.read_regions_and_sums()
    prefix = file.occasion.prefix
    name = f"{prefix}/aAcc" if prefix else "aAcc"  # unlike mIoU, the same however classes are averaged
    logged, own = validation.metrics.get(name, math.nan), pixel_accuracy(counts)
    if abs(own - logged) > _ROUNDED:
        raise ProvecfgError(f"{file.path.name} gives {name} {own:.2f}, and the log says {logged:.2f}")
    return ValidationScores(counts)


def _row(validation: Validation, scores: ValidationScores | None) -> dict[str, float]:
    """Each metric of `METRICS` at a validation, from its counts, else as logged; NaN where neither has it."""
    if scores is not None:
        return {metric.key: metric.of(scores) for metric in METRICS}
    logged = {name.rpartition("/")[2]: value for name, value in validation.metrics.items()}
    return {metric.key: logged.get(metric.key, math.nan) for metric in METRICS}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over validations, of those metrics that all of them have."""
    means = {metric.key: fmean(row[metric.key] for row in rows) for metric in METRICS}
    return {key: value for key, value in means.items() if math.isfinite(value)}


def _mean(arrays: Sequence[Scores]) -> Scores:
    """The mean over validations, NaN where it is that in one of them."""
    return np.asarray(np.stack(arrays).mean(axis=0))
