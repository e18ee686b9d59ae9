"""Statuses of cells, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from provecfg.ledger.cell_status import CellStatus, State
from provecfg.spelling import printable

_HEAD = ("cell", "state", "iteration", "it/s", "left", "best", "")


def as_json(statuses: Sequence[CellStatus]) -> str:
    """An array of objects, the fields those of `CellStatus`, `state` its word."""
    return json.dumps([_as_data(status) for status in statuses], indent=2)


def as_table(statuses: Sequence[CellStatus]) -> str:
    """A line for each cell, and one that counts them."""
    rows = [_HEAD, *(_row(status) for status in statuses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    lines = [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", as_count(statuses)])


def as_count(statuses: Sequence[CellStatus]) -> str:
    """How many cells there are of each state, in a line."""
    counts = Counter(status.state for status in statuses)
    parts = [f"{counts[state]} {state.value}" for state in State if counts[state]]
    stale = sum(status.is_stale for status in statuses)
    if stale:
        parts.append(f"{stale} stale: their configs have changed since they were submitted")
    return f"{len(statuses)} cell{'s' * (len(statuses) != 1)}: {', '.join(parts) or 'none'}"


def as_time(seconds: float) -> str:
    """A time that is left, as `3 d 04:05`, `4:05` (hours and minutes) or `0:01` for less than two minutes."""
    minutes = max(1, round(seconds / 60))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return f"{days} d {hours:02}:{rest:02}" if days else f"{hours}:{rest:02}"


def _row(status: CellStatus) -> tuple[str, ...]:
    done = "" if status.iteration is None else str(status.iteration)
    if status.iteration is not None and status.max_iters:
        done += f"/{status.max_iters}"
    best = f"{status.best['metric']} {status.best['value']:.2f}" if status.best else ""
    notes = [*(["stale"] if status.is_stale else []), status.reason or status.holder]
    return tuple(
        printable(text)
        for text in (
            status.id,
            status.state.value,
            done,
            "" if status.iters_per_second is None else f"{status.iters_per_second:.2f}",
            "" if status.seconds_left is None else as_time(status.seconds_left),
            best,
            "; ".join(note for note in notes if note).splitlines()[0] if any(notes) else "",
        )
    )


def _as_data(status: CellStatus) -> dict[str, Any]:
    return {**dataclasses.asdict(status), "state": status.state.value}
