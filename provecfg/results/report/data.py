"""A study's results as plain data: what every format of the report is made of, and what `--format json` writes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from scipy import special

from provecfg import __version__
from provecfg.attributes import Attributes
from provecfg.results.report.evaluations import evaluation_scores
from provecfg.results.report.image_differences import ImageDifference, image_differences
from provecfg.results.report.pictures import Pictures, pictures_of
from provecfg.results.report.places import scores_of
from provecfg.results.report.sentences import design, limits, outcome_of, sentence
from provecfg.results.report.series import (
    boundary_by_width,
    class_scores,
    confusions,
    costs,
    loss_terms,
    reliability,
    replay_of,
    score_curves,
)
from provecfg.results.report.slices import slice_scores
from provecfg.results.run_scores import LAST, Moment
from provecfg.results.statistics import ALPHA, FEWEST_BLOCKS, FEWEST_SEEDS, seeds_to_find, smallest_effect_of
from provecfg.results.study import JUDGED_AT, PRIMARY, SECONDARY, Cell, StudyResults, Verdict, metrics_of


def report_data(
    results: StudyResults, *, attributes: Attributes | None = None, predictions: Path | None = None
) -> dict[str, Any]:
    """All that the report says, as JSON can hold it; what is not known is None.

    Args:
        results: The study.
        attributes: What is known of the images, to slice them by.
        predictions: A folder with a folder of predicted label maps for each run, for pictures.
    """
    data = {
        "provecfg": __version__,
        "study": {
            "name": results.name,
            "reference": results.reference,
            "block": results.block,
            "losses": results.losses,
            "models": results.axes["model"],
            "datasets": results.axes["dataset"],
            "strategies": results.axes["strategy"],
            "seeds": results.axes["seed"],
            "cells": len(results.cells),
            "included": len(results.included),
            "states": dict(Counter(cell.state.value for cell in results.cells)),
        },
        "verdicts": [_verdict(verdict, results) for verdict in results.verdicts],
        "limits": limits(results),
        "cells": [_cell(cell) for cell in results.cells],
        "metrics": [
            {
                "key": metric.key,
                "title": metric.title,
                "definition": metric.definition,
                "higher_is_better": metric.higher_is_better,
            }
            for metric in metrics_of(results)
        ],
        "by_loss": _by_loss(results),
        "by_place": _by_place(results),
        "forest": [_forest(results, key) for key in (PRIMARY, *SECONDARY) if results.verdicts_by(key)],
        "classes": class_scores(results),
        "widths": boundary_by_width(results),
        "slices": slice_scores(results, attributes),
        "evaluations": evaluation_scores(results),
        "images": [_image(difference, predictions) for difference in image_differences(results)],
        "confusion": confusions(results),
        "calibration": reliability(results),
        "curves": score_curves(results),
        "terms": loss_terms(results),
        "replay": [replay_of(cell) for cell in results.included],
        "cost": costs(results),
        "method": {
            "judged_at": JUDGED_AT.value,
            "validations": LAST,
            "alpha": ALPHA,
            "fewest_blocks": FEWEST_BLOCKS,
            "fewest_seeds": FEWEST_SEEDS,
            "primary": PRIMARY,
            "secondary": list(SECONDARY),
            "boundaries": _boundary_conventions(results),
            "versions": _versions(results),
        },
    }
    return _plain(data)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """The value without NumPy's types, and None for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def _verdict(verdict: Verdict, results: StudyResults) -> dict[str, Any]:
    comparison = verdict.comparison
    return {
        "loss": comparison.loss,
        "metric": verdict.metric.key,
        "is_primary": verdict.is_primary,
        "outcome": outcome_of(verdict).value,
        "sentence": sentence(verdict, results),
        "effect": comparison.effect,
        "interval": comparison.interval,
        "level": comparison.level,
        "p": comparison.p,
        "p_holm": comparison.p_holm,
        "p_sign_flip": comparison.p_sign_flip,
        "smallest_p_sign_flip": comparison.smallest_p_sign_flip if comparison.p is not None else None,
        "design": design(comparison, results),
        "differences": dict(comparison.differences),
        "run_sd": comparison.run_sd,
        "smallest_effect": smallest_effect_of(comparison),
        "seeds_needed": seeds_to_find(comparison.effect, comparison),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    run, scores = cell.run, cell.scores
    return {
        "name": cell.name,
        **cell.coordinates,
        "state": cell.state.value,
        "excluded": cell.excluded,
        "problems": run.problems if run is not None else (),
        "work_dir": str(run.path) if run is not None else None,
        "iterations": run.iterations if run is not None else 0,
        "max_iters": run.max_iters if run is not None else None,
        "best_iteration": scores.best if scores is not None else None,
        "averaged": scores.averaged if scores is not None else 0,
        "scores": {moment.value: dict(own) for moment, own in scores.scores.items()} if scores is not None else {},
    }


def _image(difference: ImageDifference, predictions: Path | None) -> dict[str, Any]:
    pictures = pictures_of(difference, predictions) if predictions is not None else ""
    return {
        "loss": difference.loss,
        "image": difference.image,
        "reference": difference.reference,
        "score": difference.score,
        "difference": difference.difference,
        "place": pictures.place if isinstance(pictures, Pictures) else "",
        "pictures": pictures.shown if isinstance(pictures, Pictures) else {},
        "no_pictures": pictures if isinstance(pictures, str) else "",
    }


def _by_loss(results: StudyResults) -> dict[str, Any]:
    """Means over the places that have all losses, each place counting once."""
    groups, losses = results.by_place, results.losses
    whole = [place for place, by_loss in groups.items() if all(by_loss.get(loss) for loss in losses)]
    columns = [(PRIMARY, moment) for moment in (Moment.LAST_FOUR, Moment.LAST, Moment.BEST)]
    columns += [(metric.key, JUDGED_AT) for metric in metrics_of(results) if metric.key != PRIMARY]
    rows = []
    for loss in losses:
        means: list[float | None] = []
        for metric, moment in columns:
            of_places = [scores_of(groups[place][loss], metric, moment) for place in whole]
            means.append(fmean(map(fmean, of_places)) if of_places and all(of_places) else None)
        rows.append({"loss": loss, "runs": sum(len(groups[place][loss]) for place in whole), "means": means})
    return {
        "columns": [{"metric": metric, "moment": moment.value} for metric, moment in columns],
        "places": whole,
        "rows": rows,
    }


def _by_place(results: StudyResults) -> dict[str, Any]:
    """Mean, standard deviation and number of runs of each place and loss, at each moment, by the primary metric."""

    def summary(cells: Sequence[Cell], moment: Moment) -> dict[str, Any] | None:
        values = scores_of(cells, PRIMARY, moment)
        if not values:
            return None
        return {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None, "runs": len(values)}

    rows = [
        {
            "place": place,
            "cells": {
                moment.value: [summary(by_loss.get(loss, []), moment) for loss in results.losses] for moment in Moment
            },
        }
        for place, by_loss in results.by_place.items()
    ]
    return {"losses": results.losses, "rows": rows}


def _forest(results: StudyResults, metric: str) -> dict[str, Any]:
    """For each loss, its difference to the reference in each block with the interval of that block alone."""
    rows = []
    for verdict in results.verdicts_by(metric):
        comparison = verdict.comparison
        own = _by_block(results, comparison.loss, metric)
        base = _by_block(results, results.reference, metric)
        blocks = []
        for block in own:
            if base.get(block):
                low, high = _welch_interval(own[block], base[block])
                difference = fmean(own[block]) - fmean(base[block])
                blocks.append({"block": block, "difference": difference, "low": low, "high": high})
        low_high = comparison.interval or (None, None)
        rows.append(
            {
                "loss": comparison.loss,
                "blocks": blocks,
                "effect": comparison.effect,
                "low": low_high[0],
                "high": low_high[1],
                "level": comparison.level,
            }
        )
    return {"metric": metric, "rows": rows}


def _by_block(results: StudyResults, loss: str, metric: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = defaultdict(list)
    for cell in results.included:
        if cell.coordinates["loss"] == loss:
            values[cell.coordinates[results.block]] += scores_of([cell], metric, JUDGED_AT)
    return {block: own for block, own in values.items() if own}


def _welch_interval(own: Sequence[float], base: Sequence[float]) -> tuple[float | None, float | None]:
    """95 % interval of the difference of two means (Welch 1947); none where one of them has one value."""
    if len(own) < 2 or len(base) < 2:
        return None, None
    parts = [stdev(values) ** 2 / len(values) for values in (own, base)]
    variance = sum(parts)
    if variance == 0:
        return None, None
    freedom = variance**2 / sum(part**2 / (len(values) - 1) for part, values in zip(parts, (own, base), strict=True))
    reach = float(special.stdtrit(freedom, 0.975)) * math.sqrt(variance)
    difference = fmean(own) - fmean(base)
    return difference - reach, difference + reach


def _boundary_conventions(results: StudyResults) -> list[dict[str, bool]]:
    """What was a boundary, each convention that was used once."""
    conventions = []
    for cell in results.included:
        for file in cell.run.counts.values() if cell.run is not None else ():
            boundaries = file.about["boundaries"]
            if boundaries is not None:
                convention = {key: bool(boundaries[key]) for key in ("image_border", "ignored_border")}
                if convention not in conventions:
                    conventions.append(convention)
    return conventions


def _versions(results: StudyResults) -> dict[str, list[str]]:
    """Package -> its versions among the runs."""
    versions: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in results.included:
        for package, version in (cell.run.versions if cell.run is not None else {}).items():
            versions[package].setdefault(version)
    return {package: list(own) for package, own in versions.items()}
