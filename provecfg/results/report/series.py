"""What the report draws: classes, widths of bands, confidence, curves over the run, and what it cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any, Final

import numpy as np

from provecfg.counts.boundary_bands import FRACTIONS
from provecfg.counts.calibration import CONFIDENCE, CORRECT, PIXELS, UNIT
from provecfg.errors import ProvecfgError
from provecfg.facts.metrics import better
from provecfg.mmconfig import read_config
from provecfg.results.report.places import mean_of_scores
from provecfg.results.runs import State
from provecfg.results.scores import Scores
from provecfg.results.study import JUDGED_AT, PRIMARY, Cell, StudyResults

_NEARLY_FINAL: Final = 0.95
_INNER_LAYER: Final = ".d"
"""Begins the second part of mmdet's names for the losses of a decoder's inner layers: `decode.d3.loss_cls`."""


def class_scores(results: StudyResults) -> dict[str, Any] | None:
    """IoU and Boundary IoU of each class by loss, and what part of the labelled pixels each class has."""
    if len(results.axes["dataset"]) != 1:  # other datasets may have other classes
        return None
    iou = mean_of_scores(results, lambda scores: scores.class_iou)
    boundary = mean_of_scores(results, lambda scores: scores.class_boundary_iou)
    first = next((cell.scores for cell in results.included if cell.scores is not None and cell.scores.classes), None)
    if first is None or not iou:
        return None
    total = max(1, int(first.labels.sum()))
    return {
        "names": first.classes,
        "share": 100.0 * first.labels / total,
        "iou": iou,
        "boundary_iou": boundary,
    }


def boundary_by_width(results: StudyResults) -> dict[str, Any] | None:
    """Boundary mIoU of each loss in the bands of `FRACTIONS`."""
    by_loss = mean_of_scores(results, lambda scores: scores.boundary_by_width)
    if not by_loss or all(np.isnan(values).all() for values in by_loss.values()):
        return None
    return {"fractions": FRACTIONS, "losses": by_loss}


def reliability(results: StudyResults) -> dict[str, Any] | None:
    """Mean confidence and share of right predictions of each bin, pixels of all runs of a loss together."""
    by_loss = {}
    for loss in results.losses:
        counts = sum(
            cell.scores.calibration
            for cell in results.included
            if cell.coordinates["loss"] == loss and cell.scores is not None
        )
        if isinstance(counts, np.ndarray) and counts[:, PIXELS].sum() > 0:
            filled = counts[counts[:, PIXELS] > 0]
            by_loss[loss] = [
                {
                    "confidence": 100.0 * row[CONFIDENCE] / UNIT / row[PIXELS],
                    "right": 100.0 * row[CORRECT] / row[PIXELS],
                    "pixels": int(row[PIXELS]),
                }
                for row in filled
            ]
    return by_loss or None


def confusions(results: StudyResults) -> dict[str, Any] | None:
    """Of each loss, which part of each class's labelled pixels is predicted as each class, in %.

    Pixels of all runs of a loss together, at the last validation. (C, C) each; None for a class without labels.
    """
    if len(results.axes["dataset"]) != 1:
        return None
    by_loss: dict[str, Scores] = {}
    names: tuple[str, ...] = ()
    for loss in results.losses:
        own = [cell.scores for cell in results.included if cell.coordinates["loss"] == loss and cell.scores is not None]
        matrices = [scores.confusion for scores in own if scores.confusion.size]
        if matrices and all(matrix.shape == matrices[0].shape for matrix in matrices):
            names = names or next(scores.classes for scores in own if scores.confusion.size)
            pixels = np.sum(matrices, axis=0)[: len(names), : len(names)].astype(np.float64)
            labelled = pixels.sum(axis=1, keepdims=True)
            by_loss[loss] = np.divide(100.0 * pixels, labelled, out=np.full_like(pixels, np.nan), where=labelled > 0)
    return {"classes": names, "losses": by_loss} if by_loss else None


def _history(cell: Cell) -> list[tuple[int, float]]:
    """(iteration, score) of the validations, by the metric that tells the best."""
    if cell.run is None or cell.scores is None or cell.scores.goal is None:
        return []
    goal = cell.scores.goal
    return [
        (validation.iteration, validation.metrics[goal])
        for validation in cell.run.validations
        if goal in validation.metrics
    ]


def score_curves(results: StudyResults) -> list[dict[str, Any]]:
    """Of each place, the score of each loss over the run: mean, least and greatest over the seeds."""
    curves = []
    for place, by_loss in results.by_place.items():
        lines = []
        for loss in results.losses:
            values: dict[int, list[float]] = defaultdict(list)
            for cell in by_loss.get(loss, []):
                for iteration, value in _history(cell):
                    values[iteration].append(value)
            # Beyond the first that stopped early, the others' mean would be one of other runs.
            runs = max(map(len, values.values()), default=0)
            whole = {iteration: own for iteration, own in sorted(values.items()) if len(own) == runs}
            if whole:
                lines.append(
                    {
                        "loss": loss,
                        "runs": runs,
                        "points": [[iteration, fmean(own), min(own), max(own)] for iteration, own in whole.items()],
                        "ends": [
                            list(_history(cell)[-1])
                            for cell in by_loss.get(loss, [])
                            if cell.state is State.STOPPED and _history(cell)
                        ],
                    }
                )
        if lines:
            curves.append({"place": place, "lines": lines})
    return curves


def loss_terms(results: StudyResults) -> list[dict[str, Any]]:
    """Of each place and loss, the terms of the training loss over the run, averaged over the seeds, to four digits."""
    panels = []
    for place, by_loss in results.by_place.items():
        for loss in results.losses:
            sums: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
            for cell in by_loss.get(loss, []):
                for term, points in (cell.run.losses if cell.run is not None else {}).items():
                    if _INNER_LAYER not in term:
                        for iteration, value in points:
                            sums[term][iteration].append(value)
            terms = {
                term: [[iteration, float(f"{fmean(own):.4g}")] for iteration, own in sorted(values.items())]
                for term, values in sums.items()
            }
            if terms:
                panels.append({"place": place, "loss": loss, "terms": terms})
    return panels


def replay_of(cell: Cell) -> dict[str, Any]:
    """What a replay of early stopping needs of a run."""
    higher = better(cell.scores.goal or "") != "less" if cell.scores is not None else True
    return {
        "loss": cell.coordinates["loss"],
        "higher_is_better": higher,
        "history": [list(point) for point in _history(cell)],
    }


def costs(results: StudyResults) -> list[dict[str, Any]]:
    """Of each place and loss, size, time and memory as they were counted and logged, averaged over the seeds."""
    rows = []
    for place, by_loss in results.by_place.items():
        for loss in results.losses:
            cells = [cell for cell in by_loss.get(loss, []) if cell.run is not None]
            seconds = [cell.run.seconds for cell in cells if cell.run is not None and cell.run.seconds is not None]
            hours = [
                cell.run.seconds * cell.run.iterations / 3600
                for cell in cells
                if cell.run is not None and cell.run.seconds is not None
            ]
            memory = [cell.run.memory_mb for cell in cells if cell.run is not None and cell.run.memory_mb]
            nearly = [iteration for cell in cells if (iteration := _nearly_final(cell)) is not None]
            batch = _batch_size(cells[0]) if cells else None
            if cells:
                rows.append(
                    {
                        "place": place,
                        "loss": loss,
                        "runs": len(cells),
                        "seconds": fmean(seconds) if seconds else None,
                        "images_per_second": batch / fmean(seconds) if batch and seconds else None,
                        "parameters": _known(cells, "parameters"),
                        "operations": _known(cells, "operations"),
                        "hours": fmean(hours) if hours else None,
                        "memory_mb": max(memory) if memory else None,
                        "nearly_final": fmean(nearly) if nearly else None,
                    }
                )
    return rows


def _known(cells: Sequence[Cell], what: str) -> int | None:
    """`parameters` or `operations` of the first run whose counts have it."""
    for cell in cells:
        files = [*cell.run.evaluations, *cell.run.counts.values()] if cell.run is not None else []
        for file in files:
            value = getattr(file.occasion, what)
            if value is not None:
                return int(value)
    return None


def _batch_size(cell: Cell) -> int | None:
    """Images of an iteration for each process, as the config has it."""
    if cell.run is None or cell.run.config is None:
        return None
    try:
        node = read_config(cell.run.config).dig("train_dataloader.batch_size")
    except ProvecfgError:
        return None
    return node.value if node is not None and isinstance(node.value, int) else None


def _nearly_final(cell: Cell) -> float | None:
    """The iteration at which a run reached 95 % of its final score, between two validations by the straight line."""
    history = _history(cell)
    if len(history) < 2 or cell.scores is None:
        return None
    goal = _NEARLY_FINAL * cell.scores.scores[JUDGED_AT].get(PRIMARY, math.nan)
    if not math.isfinite(goal):
        return None
    if history[0][1] >= goal:
        return float(history[0][0])
    for (before, low), (after, high) in pairwise(history):
        if high >= goal:
            return before + (goal - low) / (high - low) * (after - before)
    return None
