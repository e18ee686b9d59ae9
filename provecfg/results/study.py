"""What a study came to: which of its cells count, their scores, and a verdict for each loss and metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from provecfg.header import Coordinates
from provecfg.results.fairness import incomparable
from provecfg.results.run_scores import Moment, RunScores, score_runs
from provecfg.results.runs import Run, State, read_runs
from provecfg.results.scores import METRIC, METRICS, Metric
from provecfg.results.statistics import FEWEST_BLOCKS, Comparison, Observation, compare_losses, corrected

PRIMARY: Final = "mIoU"
"""The metric that a study's verdict goes by. One is chosen before, since of several one is always best."""
SECONDARY: Final = ("boundary_mIoU_0.5", "mIoU_rare", "mIoU_image", "ECE")
"""Metrics that are tested, too, as a family of their own."""
REFERENCES: Final = ("ce", "CrossEntropyLoss")
"""Losses that the others are compared with, unless another is asked for; the first that a study has."""
JUDGED_AT: Final = Moment.LAST_FOUR
"""The best of many validations favours the loss whose scores vary most from one to the next."""


@dataclass(frozen=True)
class Cell:
    """A cell of a study.

    Args:
        coordinates: Axis of `header.Coordinates` -> where on it; empty for a run of which nothing says so.
        run: Its run; None where it was not started.
        scores: Of the run, or None.
        excluded: Why it enters no mean, or "".
    """

    coordinates: Mapping[str, str]
    run: Run | None
    scores: RunScores | None
    excluded: str

    @property
    def name(self) -> str:
        """What the page calls it."""
        return self.run.name if self.run is not None else "_".join(self.coordinates.values())

    @property
    def state(self) -> State:
        """How far its run is."""
        return self.run.state if self.run is not None else State.NOT_STARTED


@dataclass(frozen=True)
class Verdict:
    """What a study says of a loss by a metric.

    Args:
        metric: It.
        comparison: Of the loss with the reference, at `JUDGED_AT`.
        is_primary: Whether the metric is the one that the study goes by.
    """

    metric: Metric
    comparison: Comparison
    is_primary: bool


@dataclass(frozen=True)
class StudyResults:
    """A study's cells and verdicts.

    Args:
        name: Of the study.
        cells: In the order of the axes.
        reference: The loss that the others are compared with, or "" if there are not two.
        block: The axis that the comparison is repeated over: `model`, mostly.
        verdicts: Of each metric and loss, the primary metric first.
    """

    name: str
    cells: tuple[Cell, ...]
    reference: str
    block: str
    verdicts: tuple[Verdict, ...]

    @cached_property
    def included(self) -> list[Cell]:
        """The cells that enter means and tests."""
        return [cell for cell in self.cells if not cell.excluded]

    @cached_property
    def axes(self) -> Mapping[str, list[str]]:
        """Axis of `header.Coordinates` -> the coordinates of all cells on it, in order of appearance."""
        known = [cell.coordinates for cell in self.cells if cell.coordinates]
        return {axis: list(dict.fromkeys(cell[axis] for cell in known)) for axis in Coordinates._fields}

    @cached_property
    def by_place(self) -> Mapping[str, Mapping[str, list[Cell]]]:
        """Place -> loss -> the included cells.

        A place is what losses are compared within: a model, on a dataset and with a strategy where there are several.
        """
        axes = [axis for axis in ("model", "dataset", "strategy") if axis == "model" or len(self.axes[axis]) > 1]
        places: dict[str, dict[str, list[Cell]]] = {}
        for cell in self.included:
            place = " ".join(cell.coordinates[axis] for axis in axes)
            places.setdefault(place, {}).setdefault(cell.coordinates["loss"], []).append(cell)
        return places

    @property
    def losses(self) -> list[str]:
        """The losses, the reference first."""
        return sorted(self.axes["loss"], key=lambda loss: loss != self.reference)

    def verdicts_by(self, metric: str) -> list[Verdict]:
        """The verdicts of one metric."""
        return [verdict for verdict in self.verdicts if verdict.metric.key == metric]


def study_results(
    name: str,
    runs: Sequence[Run],
    planned: Sequence[Mapping[str, str]] = (),
    *,
    reference: str | None = None,
    processes: int | None = None,
) -> StudyResults:
    """Judge a study by its runs.

    Args:
        name: Of the study.
        runs: What was trained, complete or not.
        planned: Coordinates of the cells that were to be trained; what has no run among `runs` is not started.
        reference: The loss that the others are compared with; see `REFERENCES`.
        processes: How many work at once.
    """
    runs = _numbered(runs)
    complete = [run for run in runs if run.state.is_complete]
    scored = dict(zip((run.path for run in complete), score_runs(complete, processes), strict=True))
    excluded = _excluded(runs, scored)
    cells = [Cell(run.cell, run, scored.get(run.path), excluded.get(run.path, "")) for run in runs]
    trained = {tuple(run.cell.values()) for run in runs}
    missing = [cell for cell in planned if tuple(cell.values()) not in trained]
    cells += [Cell(cell, None, None, State.NOT_STARTED.value) for cell in missing]
    results = StudyResults(name, tuple(_in_order(cells, planned)), "", "model", ())
    losses = results.axes["loss"]
    chosen = reference or next((loss for loss in REFERENCES if loss in losses), losses[0] if losses else "")
    results = replace(results, reference=chosen if len(losses) > 1 else "", block=_block(results.included))
    return replace(results, verdicts=tuple(_verdicts(results)))


def read_study(
    name: str,
    work_dirs: Sequence[Path],
    planned: Sequence[Mapping[str, str]] = (),
    *,
    reference: str | None = None,
    processes: int | None = None,
) -> StudyResults:
    """Judge a study by its work dirs; arguments as of `study_results`."""
    runs = read_runs(work_dirs, processes)
    return study_results(name, runs, planned, reference=reference, processes=processes)


def _numbered(runs: Sequence[Run]) -> list[Run]:
    """The runs, those of which nothing says the seed numbered within their cell."""
    count: Counter[tuple[str, ...]] = Counter()
    numbered = []
    for run in runs:
        if run.cell and not run.cell["seed"]:
            cell = tuple(run.cell.values())
            count[cell] += 1
            run = replace(run, cell={**run.cell, "seed": f"run {count[cell]}"})
        numbered.append(run)
    return numbered


def _excluded(runs: Sequence[Run], scored: Mapping[Path, RunScores]) -> dict[Path, str]:
    """Work dirs of the runs that enter no mean, and why."""
    reasons = {run.path: run.reason for run in runs if not run.state.is_complete}
    reasons |= {path: scores.problem for path, scores in scored.items() if scores.problem}
    reasons |= incomparable([run for run in runs if run.path not in reasons])
    first: dict[tuple[str, ...], Run] = {}
    for run in runs:
        if run.path not in reasons:
            other = first.setdefault((run.study, *run.cell.values()), run)
            if other is not run:
                reasons[run.path] = f"{other.path} is a run of the same cell, and was read first"
    return reasons


def _in_order(cells: Sequence[Cell], planned: Sequence[Mapping[str, str]]) -> list[Cell]:
    """The cells as the study orders its axes; of axes that it does not name, as the runs were found."""
    order: dict[str, dict[str, int]] = {axis: {} for axis in Coordinates._fields}
    for coordinates in [*planned, *(cell.coordinates for cell in cells)]:
        for axis, value in coordinates.items():
            order[axis].setdefault(value, len(order[axis]))
    order["seed"] = {seed: index for index, seed in enumerate(sorted(order["seed"], key=_as_number))}
    return sorted(cells, key=lambda cell: [order[axis][value] for axis, value in cell.coordinates.items()])


def _as_number(seed: str) -> tuple[int, str]:
    return (int(seed), "") if seed.lstrip("-").isdigit() else (0, seed)


def _block(cells: Sequence[Cell]) -> str:
    """Models, unless there are too few of them and enough datasets."""
    counts = {axis: len({cell.coordinates[axis] for cell in cells}) for axis in ("model", "dataset")}
    return "dataset" if counts["model"] < FEWEST_BLOCKS <= counts["dataset"] else "model"


def observations(results: StudyResults, metric: str, moment: Moment) -> list[Observation]:
    """The scores of the included cells by a metric, at a moment; cells that do not have it are left out."""
    others = [axis for axis in Coordinates._fields if axis not in ("loss", "seed", results.block)]
    rows = []
    for cell in results.included:
        value = cell.scores.scores.get(moment, {}).get(metric) if cell.scores is not None else None
        if value is not None:
            coordinates = cell.coordinates
            context = " ".join(coordinates[axis] for axis in others)
            rows.append(
                Observation(coordinates["loss"], coordinates[results.block], context, coordinates["seed"], value)
            )
    return rows


def _verdicts(results: StudyResults) -> Iterable[Verdict]:
    """Those by the primary metric, then those by the others, corrected for as one family."""
    if not results.reference:
        return
    for comparison in _compared(results, PRIMARY):
        yield Verdict(METRIC[PRIMARY], comparison, True)
    secondary = [(METRIC[key], comparison) for key in SECONDARY for comparison in _compared(results, key)]
    judged = corrected([comparison for _, comparison in secondary])
    for (metric, _), comparison in zip(secondary, judged, strict=True):
        yield Verdict(metric, comparison, False)


def _compared(results: StudyResults, metric: str) -> list[Comparison]:
    return compare_losses(observations(results, metric, JUDGED_AT), results.reference, results.block)


def metrics_of(results: StudyResults) -> list[Metric]:
    """The metrics that at least one included cell has."""
    known = {
        key for cell in results.included if cell.scores is not None for key in cell.scores.scores.get(JUDGED_AT, {})
    }
    return [metric for metric in METRICS if metric.key in known]
