"""How long a study takes, by what was measured of runs like its own. Before that, unknown: nothing is guessed."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.header import Header
from provecfg.ledger.cell_status import work_dirs_below
from provecfg.mmconfig import ConfigView
from provecfg.training.record import Attempt, Record, read_record

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class CellLength:
    """How much a cell has to do.

    Args:
        name: Of its config.
        model: What its speed goes by: its model, or its name where no header says one.
        earliest: The iteration at which early stopping can end it at the earliest; `max_iters` where nothing can.
        max_iters: Where it ends by itself; None for a loop that counts epochs.
    """

    name: str
    model: str
    earliest: int | None
    max_iters: int | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What cells take.

    Args:
        hours: Of each cell in order, from the earliest stop to the end; None where its model was not measured.
        gpu_hours: Of all that are known, from and to.
        makespan: Of all that are known, from and to, in hours, the longest begun first.
        restarts: Of all that are known at most, by the time limit; 0 without one.
    """

    hours: tuple[tuple[float, float] | None, ...]
    gpu_hours: tuple[float, float]
    makespan: tuple[float, float]
    restarts: int


def length_of(view: ConfigView) -> CellLength:
    """How much a config's run has to do."""
    values = view.values
    train_cfg, hooks = values.get("train_cfg"), values.get("custom_hooks")
    loop = train_cfg if isinstance(train_cfg, Mapping) else {}
    max_iters = loop.get("max_iters") if isinstance(loop.get("max_iters"), int) else None
    interval = loop.get("val_interval", 1)
    earliest = max_iters
    for hook in hooks if isinstance(hooks, (list, tuple)) else ():
        if isinstance(hook, Mapping) and str(hook.get("type", "")).endswith("EarlyStoppingHook"):
            patience = hook.get("patience", 5)  # mmengine's default
            if max_iters is not None and isinstance(patience, int) and isinstance(interval, int):
                # The first validation is the best so far; so many more have to be no better.
                earliest = min(earliest or max_iters, interval * (patience + 1))
    header = Header.of(view.sources(view.path))
    model = header.cell.model if header is not None and header.cell is not None else view.path.stem
    return CellLength(view.path.stem, model, earliest, max_iters)


def measured_speeds(folder: Path) -> dict[str, float]:
    """Model (or name) -> seconds an iteration, validations, start and end included, over the runs below a folder."""
    seconds: defaultdict[str, float] = defaultdict(float)
    iterations: defaultdict[str, int] = defaultdict(int)
    for work_dir in work_dirs_below(folder):
        try:
            record = read_record(work_dir)
        except ProvecfgError:
            continue
        for attempt in record.attempts if record is not None and not record.smoke else ():
            done = (attempt.last_iter or 0) - attempt.first_iter
            if done > 0 and attempt.ended is not None:
                model = _model_of(record)
                seconds[model] += _seconds_of(attempt)
                iterations[model] += done
    return {model: seconds[model] / iterations[model] for model in seconds}


def forecast(
    lengths: Sequence[CellLength],
    speeds: Mapping[str, float],
    *,
    slots: int,
    gpus_per_cell: int = 1,
    timeout_hours: float | None = None,
) -> Forecast:
    """What cells take.

    Args:
        lengths: Of the cells.
        speeds: Of their models, see `measured_speeds`.
        slots: Cells that are trained at once.
        gpus_per_cell: GPUs of each.
        timeout_hours: Of a task; None for no limit.
    """
    hours = tuple(_hours(length, speeds.get(length.model)) for length in lengths)
    known = [both for both in hours if both is not None]
    restarts = sum(math.ceil(most / timeout_hours) - 1 for _, most in known) if timeout_hours else 0
    sums = (sum(least for least, _ in known), sum(most for _, most in known))
    return Forecast(
        hours,
        (sums[0] * gpus_per_cell, sums[1] * gpus_per_cell),
        (_makespan([least for least, _ in known], slots), _makespan([most for _, most in known], slots)),
        restarts,
    )


def _hours(length: CellLength, seconds: float | None) -> tuple[float, float] | None:
    if seconds is None or length.max_iters is None or length.earliest is None:
        return None
    return length.earliest * seconds / _HOUR, length.max_iters * seconds / _HOUR


def _makespan(hours: Iterable[float], slots: int) -> float:
    """When the last one ends, if each begins where a slot is free, the longest first."""
    ends = [0.0] * slots
    for each in sorted(hours, reverse=True):
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def _model_of(record: Record | None) -> str:
    if record is None:
        return ""
    cell = record.config.get("cell")
    return str(cell["model"]) if isinstance(cell, Mapping) and "model" in cell else record.name


def _seconds_of(attempt: Attempt) -> float:
    ended = datetime.fromisoformat(attempt.ended or attempt.started)
    return (ended - datetime.fromisoformat(attempt.started)).total_seconds()
