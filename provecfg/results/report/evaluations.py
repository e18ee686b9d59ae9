"""Scores of what `provecfg eval` counted of a study's checkpoints: other data, other splits, the best weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from provecfg.counts.counts_file import CountsFile
from provecfg.counts.validation import Occasion
from provecfg.errors import ProvecfgError
from provecfg.parallel import map_in_processes
from provecfg.results.report.places import by_work_dir, mean_over_places
from provecfg.results.scores import METRIC, Scores
from provecfg.results.study import PRIMARY, SECONDARY, StudyResults

METRICS_OF_EVALUATIONS = (PRIMARY, *SECONDARY)


def evaluation_scores(results: StudyResults) -> list[dict[str, Any]]:
    """Of each set and kind of checkpoint, the scores of each loss: means over the places that have all losses.

    Of several checkpoints of a kind, a run's latest counts. Where the runs were evaluated on images that differ, those
    that were not on the most frequent ones are left out, and so is what cannot be read.
    """
    chosen: dict[tuple[str, str], dict[Path, CountsFile]] = defaultdict(dict)
    for cell in results.included:
        for file in cell.run.evaluations if cell.run is not None else ():
            assert cell.run is not None
            of_set = chosen[_set_of(file.occasion)]
            other = of_set.get(cell.run.path)
            if other is None or (other.occasion.iteration or 0) <= (file.occasion.iteration or 0):
                of_set[cell.run.path] = file
    parts = []
    for (split, checkpoint), files in sorted(chosen.items()):
        digest = Counter(file.data_digest for file in files.values()).most_common(1)[0][0]
        same = {path: file for path, file in files.items() if file.data_digest == digest}
        scores = dict(zip(same, map_in_processes(_scores, list(same.values())), strict=True))
        means = mean_over_places(results, by_work_dir(scores))
        parts.append(
            {
                "split": split,
                "checkpoint": checkpoint,
                "runs": len(same),
                "other_images": len(files) - len(same),
                "images": int(next(iter(same.values())).about["images"]),
                "metrics": METRICS_OF_EVALUATIONS,
                "losses": means,
            }
        )
    return parts


def _set_of(occasion: Occasion) -> tuple[str, str]:
    return occasion.split or "val", "best" if (occasion.checkpoint or "").startswith("best_") else "last"


def _scores(file: CountsFile) -> Scores:
    """(M,) of `METRICS_OF_EVALUATIONS`; empty for a file that is damaged."""
    try:
        counts = file.read_regions_and_sums()
    except ProvecfgError:
        return np.zeros(0)
    return np.array([METRIC[key].score(counts) for key in METRICS_OF_EVALUATIONS])
