"""The validations of a finished run, read from what mmengine logged. Standard library only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from provecfg.errors import ProvecfgError
from provecfg.files import read_text

_LARGEST_LOG = 500_000_000  # bytes; a run of a million iterations that logs each has a tenth
_LARGEST_COUNT = 2**63 - 1
_NO_METRICS = {"time", "data_time", "step", "memory", "eta", "epoch", "iter"}
_TRAIN_LINE = re.compile(r"(Iter|Epoch)\(train\)\s+(?:\[\s*(\d{1,18})\])?\[\s*(\d{1,18})/(\d{1,18})\]")
_VAL_LINE = re.compile(r"(Iter|Epoch)\(val\)\s+(?:\[\s*(\d{1,18})\])?\[\s*\d{1,18}/\d{1,18}\]\s+(.*)")
_SAVING = re.compile(r"Saving checkpoint at (\d{1,18}) iterations")
_RESUMED = re.compile(r"resumed epoch: (\d{1,18}), iter: (\d{1,18})")
_ITEM = re.compile(r"(\S+): (\S+)(?=\s|$)")
_TIME = re.compile(r"\btime: ([\d.]+)")
_SCALARS = ("vis_data/scalars.json", "*/vis_data/scalars.json", "scalars.json")


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation.

    Args:
        iteration: How many iterations of training came before it, as far as they were logged.
        epoch: How many epochs, or None where the run does not count them.
        metrics: What it gave.
    """

    iteration: int
    epoch: int | None
    metrics: Mapping[str, float]


@dataclass(slots=True)
class FinishedLog:
    """What a log says of its run.

    Args:
        files: That it was read from, oldest first.
        validations: In the order of the run, each once.
        last_iteration: The last that was logged.
        seconds: Of an iteration, the median; None where the log does not say.
        training: Lines of training as they were logged, oldest first; none of a text log.
        broken_lines: Lines that could not be read.
    """

    files: tuple[Path, ...]
    validations: list[Validation] = field(default_factory=list)
    last_iteration: int = 0
    seconds: float | None = None
    training: Sequence[Mapping[str, Any]] = ()
    broken_lines: int = 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics, in the order in which they were logged."""
        return tuple(dict.fromkeys(name for validation in self.validations for name in validation.metrics))


def read_log(path: Path) -> FinishedLog:
    """Read a run's log.

    Args:
        path: `scalars.json` or `<timestamp>.json` (JSON lines), a text log, or a work dir. Of a work dir, the newest
            run; where that was resumed, with the parts that came before.

    Raises:
        ProvecfgError: There is no such file, or no validation in it.
    """
    if not path.exists():
        raise ProvecfgError(f"{path} does not exist", hint="name a log of mmengine's, or a run's work dir")
    parts = [_part(file) for file in ([path] if path.is_file() else _logs_in(path))]
    log = _joined(_of_newest_run([part for part in parts if part.records] or parts))
    if not log.validations:
        files = ", ".join(str(file) for file in log.files)
        if not any(part.records for part in parts):
            raise ProvecfgError(f"{files}: no line of it is a log line of mmengine's", hint=_WANTED)
        raise ProvecfgError(
            f"{files}: no validation is logged in {log.last_iteration} iterations",
            hint="early stopping is asked after validations only; was the run ended before the first one?",
        )
    return log


_WANTED = "wanted: vis_data/scalars.json, <timestamp>.json, <timestamp>.log, or the work dir"


@dataclass(frozen=True, slots=True)
class _Record:
    """A line of training, or a validation (with metrics), at an iteration."""

    iteration: int
    epoch: int | None = None
    seconds: float | None = None
    metrics: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """A log file."""

    file: Path
    records: Sequence[_Record]
    training: Sequence[Mapping[str, Any]] = ()
    broken_lines: int = 0

    @property
    def begin(self) -> int:
        """The first iteration that was logged."""
        return self.records[0].iteration if self.records else 0

    @property
    def intervals(self) -> list[int]:
        """Iterations from one line of training to the next."""
        steps = [record.iteration for record in self.records if record.metrics is None]
        return [later - earlier for earlier, later in pairwise(steps) if later > earlier]


def _logs_in(folder: Path) -> list[Path]:
    files = {file for pattern in _SCALARS for file in folder.glob(pattern)} or set(folder.glob("*/*.log"))
    if files:
        # mmengine names the folder of each start by its time.
        return sorted(files, key=lambda file: (file.parent.parent.name, file.stat().st_mtime))
    below = sorted({file.parents[2].name for file in folder.glob("*/*/vis_data/scalars.json")})
    if below:
        raise ProvecfgError(
            f"{folder} holds several runs: {', '.join(below[:5])}", hint=f"name one: {folder / below[0]}"
        )
    raise ProvecfgError(f"{folder} holds no log of mmengine's", hint=_WANTED)


def _of_newest_run(parts: Sequence[_Part]) -> list[_Part]:
    """The last part; where it begins later than a run's first line would come, with those that it goes on from."""
    interval = min((interval for part in parts for interval in part.intervals), default=0)
    first = len(parts) - 1
    while first > 0 and parts[first].begin > interval:
        first -= 1
    return list(parts[first:])


def _joined(parts: Sequence[_Part]) -> FinishedLog:
    """The parts of one run: what a later one did again counts as it did it."""
    log = FinishedLog(tuple(part.file for part in parts), broken_lines=sum(part.broken_lines for part in parts))
    done: dict[int, Validation] = {}
    for part in parts:
        done = {at: validation for at, validation in done.items() if at < part.begin}
        for record in part.records:
            if record.metrics is not None:
                done[record.iteration] = Validation(record.iteration, record.epoch, record.metrics)
    log.validations = [done[at] for at in sorted(done)]
    log.last_iteration = max((record.iteration for part in parts for record in part.records), default=0)
    spent = [record.seconds for part in parts for record in part.records if record.seconds is not None]
    log.seconds = median(spent) if spent else None
    log.training = [line for part in parts for line in part.training]
    return log


def _part(file: Path) -> _Part:
    try:
        text = read_text(file, max_bytes=_LARGEST_LOG, errors="replace")
    except OSError as error:
        raise ProvecfgError(f"cannot read {file}: {error.strerror or error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].lstrip().startswith("{"):
        objects, broken = _json_objects(lines)
        training = [line for line in objects if _is_count(line.get("iter"))]
        return _Part(file, list(_from_objects(objects)), training, broken)
    return _Part(file, list(_from_text(lines)))


def _json_objects(lines: Sequence[str]) -> tuple[list[dict[str, Any]], int]:
    """The objects of JSON lines, and how many lines hold none: a run that was killed leaves half a one."""
    try:
        values = json.loads(f"[{','.join(lines)}]")  # several times as fast as each line by itself
    except (ValueError, RecursionError):
        values = []
    if len(values) != len(lines):
        values = []
        for line in lines:
            with suppress(ValueError, RecursionError):
                values.append(json.loads(line))
    objects = [value for value in values if isinstance(value, dict)]
    return objects, len(lines) - len(objects)


def _from_objects(objects: Sequence[dict[str, Any]]) -> Iterator[_Record]:
    """The records of JSON lines. Those of training have the key `iter`; a validation's `step` is an iteration or epoch.

    Source: mmengine 0.10.7, runner/log_processor.py, `get_log_after_iter`; hooks/logger_hook.py, `after_val_epoch`.
    """
    by_epoch = any(isinstance(line.get("epoch"), int) and line["epoch"] > 1 for line in objects)
    iteration = 0
    epoch: int | None = None
    for line in objects:
        if _is_count(line.get("iter")):
            iteration = line["iter"]
            epoch = line["epoch"] if by_epoch and _is_count(line.get("epoch")) else None
            yield _Record(iteration, epoch, _number(line.get("time")))
            continue
        metrics = {
            name: number
            for name, value in line.items()
            if name.rpartition("/")[2] not in _NO_METRICS and (number := _number(value)) is not None
        }
        step = line.get("step")
        if not metrics or not isinstance(step, int) or isinstance(step, bool):
            continue
        # With `log_metric_by_epoch` the step is an epoch, of which a loop by iterations is in its first, number 0.
        yield _Record(max(iteration, 0 if by_epoch else step), epoch or (step if by_epoch else None), metrics=metrics)


def _from_text(lines: Sequence[str]) -> Iterator[_Record]:
    iteration = 0
    epoch: int | None = None
    for line in lines:
        if match := _TRAIN_LINE.search(line):
            kind, outer, inner, size = match.groups()
            if kind == "Epoch" and outer is not None:
                epoch = int(outer)
                iteration = (epoch - 1) * int(size) + int(inner)
            else:
                iteration = int(inner)
            spent = _TIME.search(line)
            yield _Record(iteration, epoch, float(spent[1]) if spent else None)
        elif match := _SAVING.search(line):
            iteration = max(iteration, int(match[1]))
        elif match := _RESUMED.search(line):
            epoch, iteration = int(match[1]) or None, int(match[2])
        elif match := _VAL_LINE.search(line):
            items = {name: _number_in(text) for name, text in _ITEM.findall(match[3])}
            metrics = {name: value for name, value in items.items() if name not in _NO_METRICS and value is not None}
            if metrics:
                yield _Record(iteration, int(match[2]) if match[2] else epoch, metrics=metrics)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT


def _number(value: Any) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # of an integer of hundreds of digits
        return None


def _number_in(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
