"""The runs that work dirs hold: provecfg's with record and counts, others' with what they have. Executes nothing."""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from provecfg.counts.counts_file import FOLDER, CountsFile, read_counts_file
from provecfg.errors import ProvecfgError
from provecfg.files import read_json
from provecfg.header import Coordinates
from provecfg.parallel import map_in_processes
from provecfg.proof.stopping.finished_log import FinishedLog, Validation, read_log
from provecfg.results.foreign_configs import read_foreign_config
from provecfg.training import record as records

_LARGEST_COUNT: Final = 2**63 - 1
_MOST_POINTS: Final = 100
"""Points of a curve of training that are kept."""
_DEEPEST: Final = 3
"""Folders below a target in which runs are looked for."""


class State(enum.Enum):
    """How far a run is."""

    FINISHED = "finished"
    STOPPED = "early-stopped"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    LOST = "lost"
    UNKNOWN = "unknown"
    """It has no record and does not tell where it was to end."""
    NOT_STARTED = "not started"

    @property
    def is_complete(self) -> bool:
        """Whether the run came to an end of its own, so that its scores are those of its training."""
        return self in (State.FINISHED, State.STOPPED)


@dataclass(frozen=True, slots=True)
class Run:
    """One training.

    Args:
        name: Of the config.
        path: The work dir.
        state: How far it is.
        reason: Why it is not complete, or "".
        study: Name of its study, or "".
        cell: Axis of `header.Coordinates` -> where on it the run is; empty where nothing says so.
        config: The config as it was run, or None.
        validations: In order.
        iterations: Done.
        max_iters: To be done, or None.
        losses: Term of the training loss -> (iteration, value), at most `_MOST_POINTS` of each.
        counts: Files of counts of its validations by iteration, the kept ones.
        evaluations: Files of counts that `provecfg eval` made of its checkpoints.
        seconds: Of an iteration, the median; None where the log does not say.
        memory_mb: Of the device at most, as mmengine logged it, or None.
        device: What it trained on, or "".
        goal: The metric that its best checkpoint goes by, or None.
        best_checkpoint: Its file, as its record names it, or None.
        seed: Of its record, or None.
        smoke: Whether it is a check on drawn data, and no training.
        data: Digest of the data that it trained on, where its record has one.
        versions: Of Python and packages, where its record has them.
        problems: What of it could not be read, or is no number.
    """

    name: str
    path: Path
    state: State
    reason: str = ""
    study: str = ""
    cell: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None
    validations: tuple[Validation, ...] = ()
    iterations: int = 0
    max_iters: int | None = None
    losses: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    counts: Mapping[int, CountsFile] = field(default_factory=dict)
    evaluations: tuple[CountsFile, ...] = ()
    seconds: float | None = None
    memory_mb: int | None = None
    device: str = ""
    goal: str | None = None
    best_checkpoint: str | None = None
    seed: int | None = None
    smoke: bool = False
    data: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def is_work_dir(folder: Path) -> bool:
    """Whether a folder holds a run: a record of provecfg's, or a log of mmengine's."""
    return (
        (folder / records.FILENAME).is_file()
        or (folder / "vis_data" / "scalars.json").is_file()
        or next(folder.glob("*/vis_data/scalars.json"), None) is not None
    )


def work_dirs_in(folder: Path) -> Iterator[Path]:
    """The work dirs that a folder is or has below it, by name. What lies within a work dir is none."""
    if is_work_dir(folder):
        yield folder
        return
    for parent, folders, _ in os.walk(folder):
        path = Path(parent)
        if path != folder and is_work_dir(path):
            folders.clear()
            yield path
        elif len(path.relative_to(folder).parts) >= _DEEPEST:
            folders.clear()
        folders.sort()


def read_runs(work_dirs: Sequence[Path], processes: int | None = None) -> list[Run]:
    """The runs of work dirs, read by several processes; smoke runs are left out."""
    return [run for run in map_in_processes(read_run, work_dirs, processes) if not run.smoke]


def read_run(work_dir: Path) -> Run:
    """The run of a work dir. What of it cannot be read is named in its `problems`."""
    problems: list[str] = []
    record = _record(work_dir, problems)
    log = _log(work_dir, problems)
    name = str(record.get("name") or work_dir.absolute().name)
    attempts = record.get("attempts")
    attempts = [attempt for attempt in attempts if isinstance(attempt, dict)] if isinstance(attempts, list) else []
    last = attempts[-1] if attempts else {}
    config = _config(work_dir, name)
    origin, best, versions = (_mapping(record.get(key)) for key in ("config", "best", "versions"))
    max_iters, seed = _count(record.get("max_iters")), _count(record.get("seed"))
    cell = _cell(origin.get("cell"))
    if config is not None and not record:
        cell, max_iters, seed = read_foreign_config(config)
    counts, evaluations = _counts(work_dir, problems)
    losses, memory_mb = _training(log.training if log is not None else ())
    run = Run(
        name=name,
        path=work_dir,
        state=State.UNKNOWN,
        study=str(origin.get("study") or ""),
        cell=cell,
        config=config,
        validations=tuple(_finite(log.validations, problems)) if log is not None else (),
        iterations=log.last_iteration if log is not None else 0,
        max_iters=max_iters,
        losses=losses,
        counts=counts,
        evaluations=evaluations,
        seconds=log.seconds if log is not None else None,
        memory_mb=memory_mb,
        device=str(last.get("device") or ""),
        goal=_text(best.get("metric")),
        best_checkpoint=_text(best.get("checkpoint")),
        seed=seed,
        smoke=record.get("smoke") is True,
        data=_text(record.get("data")),
        versions={str(key): str(value) for key, value in versions.items()},
    )
    state, reason = _state(run, last, has_record=bool(record))
    return replace(run, state=state, reason=reason, problems=tuple(problems))


def _state(run: Run, attempt: Mapping[str, Any], *, has_record: bool) -> tuple[State, str]:
    message = str(attempt.get("message") or "").partition("\n")[0]
    if not has_record:
        if run.max_iters is None:
            return State.UNKNOWN, "it has no record, and nothing says where it was to end"
        if run.iterations >= run.max_iters:
            return State.FINISHED, ""
        return State.UNKNOWN, f"its log ends at iteration {run.iterations} of {run.max_iters}"
    try:
        state = State(attempt.get("state"))
    except ValueError:
        return State.UNKNOWN, f"its record says {attempt.get('state')!r}"
    if state.is_complete:
        return state, ""
    return state, message or f"{state.value} at iteration {run.iterations} of {run.max_iters or '?'}"


def _record(work_dir: Path, problems: list[str]) -> Mapping[str, Any]:
    """The record's fields, whichever version of provecfg wrote them; empty where there is none."""
    path = work_dir / records.FILENAME
    try:
        record = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{path} cannot be read: {error}")
        return {}
    if isinstance(record, dict):
        return record
    problems.append(f"{path} is no record of a run")
    return {}


def _log(work_dir: Path, problems: list[str]) -> FinishedLog | None:
    try:
        log = read_log(work_dir)
    except ProvecfgError as error:
        problems.append(error.message)
        return None
    if log.broken_lines:
        problems.append(f"{log.broken_lines} lines of its log cannot be read")
    return log


def _finite(validations: Iterable[Validation], problems: list[str]) -> Iterator[Validation]:
    """The validations without the metrics that are no numbers."""
    for validation in validations:
        bad = [name for name, value in validation.metrics.items() if not math.isfinite(value)]
        if bad:
            problems.append(f"{', '.join(bad)} at iteration {validation.iteration} is no number")
        yield replace(
            validation, metrics={name: value for name, value in validation.metrics.items() if name not in bad}
        )


def _counts(work_dir: Path, problems: list[str]) -> tuple[dict[int, CountsFile], tuple[CountsFile, ...]]:
    """The counts of the validations by iteration, and those of evaluations."""
    files, evaluations = {}, []
    for path in sorted((work_dir / FOLDER).glob("*.npz")):
        try:
            file = read_counts_file(path)
        except ProvecfgError as error:
            problems.append(error.message)
            continue
        occasion = file.occasion
        if occasion.checkpoint is not None:
            evaluations.append(file)
        elif occasion.iteration is not None:
            files[occasion.iteration] = file
    return dict(sorted(files.items())), tuple(evaluations)


def _config(work_dir: Path, name: str) -> Path | None:
    """The config as it was run, which mmengine writes to the work dir."""
    named = work_dir / f"{name}.py"
    if named.is_file():
        return named
    files = sorted(work_dir.glob("*.py"))
    return files[0] if len(files) == 1 else None


def _training(lines: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[tuple[int, float]]], int | None]:
    """The terms of the loss over the run, and the memory, from lines of training as mmengine logs them."""
    lines = [line for line in lines if "loss" in line]
    step = max(1, len(lines) // _MOST_POINTS)
    # What a resumed run did again counts as it did it.
    rows = {line["iter"]: line for line in [*lines[step - 1 :: step], *lines[-1:]]}
    losses: dict[str, list[tuple[int, float]]] = {}
    for iteration, row in sorted(rows.items()):
        for key, value in row.items():
            if "loss" not in key:
                continue
            if math.isfinite(value) if isinstance(value, float) else _count(value) is not None:
                losses.setdefault(key, []).append((iteration, float(value)))
    memory = [_count(row.get("memory")) for row in rows.values()]
    return losses, max((value for value in memory if value), default=None)


def _cell(coordinates: Any) -> dict[str, str]:
    """The cell as a record has it, if it has all axes."""
    if not isinstance(coordinates, Mapping) or not set(Coordinates._fields) <= set(coordinates):
        return {}
    return {axis: str(coordinates[axis]) for axis in Coordinates._fields}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT else None
