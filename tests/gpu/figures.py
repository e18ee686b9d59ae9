"""What machines measured, one JSON file a machine: the one source of the figures of docs/gpu.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("figures")

Row = dict[str, Any]


@dataclass
class Figures:
    """What one machine measured.

    Args:
        machine: Card, driver and versions, as `Machine.identity` gives them.
        day: ISO 8601, UTC.
        tables: Rows by table.
        outcomes: Name of a test -> how often it passed, failed and was skipped, and why.
    """

    machine: Mapping[str, str]
    day: str = field(default_factory=lambda: datetime.now(timezone.utc).date().isoformat())
    tables: dict[str, list[Row]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        """One more row of a table."""
        self.tables.setdefault(table, []).append(row)

    def count(self, test: str, outcome: str, reason: str = "") -> None:
        """One more outcome of a test: `passed`, `failed` or `skipped`."""
        entry = self.outcomes.setdefault(test, {"passed": 0, "failed": 0, "skipped": 0, "reasons": []})
        entry[outcome] += 1
        if reason and reason not in entry["reasons"]:
            entry["reasons"].append(reason)

    def write(self, folder: Path) -> Path:
        """Write the file of this machine. What an earlier run of it measured and this one did not stays.

        It stays only where card, driver and versions are the same: otherwise the file is of this run alone.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_slug(self.machine['card'])}.json"
        earlier = read(path) if path.is_file() else None
        tables, outcomes = self.tables, self.outcomes
        if earlier is not None and dict(earlier.machine) == dict(self.machine):
            tables, outcomes = {**earlier.tables, **tables}, {**earlier.outcomes, **outcomes}
        record = {"machine": dict(self.machine), "day": self.day, "tables": tables, "outcomes": outcomes}
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return path


def read(path: Path) -> Figures:
    """The figures of a file."""
    return Figures(**json.loads(path.read_text(encoding="utf-8")))


def read_all(folder: Path = FOLDER) -> list[Figures]:
    """Those of every machine, by the name of its card."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def rows_of(figures: Iterable[Figures], table: str) -> list[Row]:
    """The rows of a table, of several machines."""
    return [row for each in figures for row in each.tables.get(table, [])]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
