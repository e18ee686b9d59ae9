"""Scores of the cells of a place, and their means over the places of a study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from provecfg.results.run_scores import Moment
from provecfg.results.scores import Scores
from provecfg.results.study import Cell, StudyResults


def scores_of(cells: Iterable[Cell], metric: str, moment: Moment) -> list[float]:
    """The scores of those cells that have the metric at the moment."""
    found = (cell.scores.scores.get(moment, {}).get(metric) for cell in cells if cell.scores is not None)
    return [value for value in found if value is not None]


def _mean_arrays(arrays: Sequence[Scores]) -> Scores | None:
    """The mean over runs, NaN where it is that in one of them; None where there is none, or they do not fit."""
    if not arrays or any(array.shape != arrays[0].shape or not array.size for array in arrays):
        return None
    return np.asarray(np.stack(arrays).mean(axis=0))


def mean_over_places(results: StudyResults, array: str) -> dict[str, Scores]:
    """Loss -> the mean of an array of `RunScores` over the places that have all losses, each counting once."""
    groups, losses = results.by_place, results.losses
    means: dict[str, list[Scores]] = {loss: [] for loss in losses}
    for by_loss in groups.values():
        of_losses = {
            loss: _mean_arrays([getattr(cell.scores, array) for cell in by_loss.get(loss, [])]) for loss in losses
        }
        if all(mean is not None for mean in of_losses.values()):
            for loss, mean in of_losses.items():
                if mean is not None:
                    means[loss].append(mean)
    merged = {loss: _mean_arrays(arrays) for loss, arrays in means.items()}
    return {loss: mean for loss, mean in merged.items() if mean is not None}
