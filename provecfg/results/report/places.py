"""Scores of the cells of a place, and their means over the places of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from provecfg.results.run_scores import Moment, RunScores
from provecfg.results.scores import Scores
from provecfg.results.study import Cell, StudyResults


def scores_of(cells: Iterable[Cell], metric: str, moment: Moment) -> list[float]:
    """The scores of those cells that have the metric at the moment."""
    values = (cell.scores.scores.get(moment, {}).get(metric) for cell in cells if cell.scores is not None)
    return [value for value in values if value is not None]


def by_work_dir(arrays: Mapping[Path, Scores]) -> Callable[[Cell], Scores]:
    """The array of a cell, from those of the work dirs; empty where there is none."""
    return lambda cell: arrays.get(cell.run.path, np.zeros(0)) if cell.run is not None else np.zeros(0)


def _mean_arrays(arrays: Sequence[Scores]) -> Scores | None:
    """The mean over runs, NaN where it is that in one of them; None where there is none, or they do not fit."""
    if not arrays or any(array.shape != arrays[0].shape or not array.size for array in arrays):
        return None
    return np.asarray(np.stack(arrays).mean(axis=0))


def mean_of_scores(results: StudyResults, array: Callable[[RunScores], Scores]) -> dict[str, Scores]:
    """Loss -> the mean of an array of the cells' scores, as `mean_over_places` has it."""
    return mean_over_places(results, lambda cell: array(cell.scores) if cell.scores is not None else np.zeros(0))


def mean_over_places(results: StudyResults, array: Callable[[Cell], Scores]) -> dict[str, Scores]:
    """Loss -> the mean of an array of each cell over the places that have all losses, each place counting once.

    Args:
        results: The study.
        array: Of a cell, of one shape for all; empty where it has none, and then its place has none of its loss.
    """
    groups, losses = results.by_place, results.losses
    means: dict[str, list[Scores]] = {loss: [] for loss in losses}
    for by_loss in groups.values():
        of_losses = {loss: _mean_arrays([array(cell) for cell in by_loss.get(loss, [])]) for loss in losses}
        if all(mean is not None for mean in of_losses.values()):
            for loss, mean in of_losses.items():
                if mean is not None:
                    means[loss].append(mean)
    merged = {loss: _mean_arrays(arrays) for loss, arrays in means.items()}
    return {loss: mean for loss, mean in merged.items() if mean is not None}
