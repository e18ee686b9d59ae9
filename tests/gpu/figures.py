"""What a machine measured, and how it is written into docs/gpu.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

BEGIN, END = "<!-- figures, written by `make gpu` -->", "<!-- end of figures -->"
NOTHING = "No GPU has run this yet: nothing was measured, and nothing is claimed."

Row = dict[str, object]


@dataclass
class Figures:
    """What one machine measured.

    Args:
        machine: Card, driver and versions; `card` is the heading.
        tables: Rows by the sentence above their table; a row is cell by column.
        outcome: How many tests ended how.
    """

    machine: Mapping[str, str]
    tables: dict[str, list[Row]] = field(default_factory=dict)
    outcome: str = ""

    def add(self, table: str, row: Row) -> None:
        """One more row of a table."""
        self.tables.setdefault(table, []).append(row)

    def section(self) -> str:
        """Markdown."""
        about = ", ".join(f"{key} {value}" for key, value in self.machine.items() if key != "card")
        day = datetime.now(timezone.utc).date().isoformat()
        parts = [f"### {self.machine['card']}", f"{day}: {about}. Tests: {self.outcome}."]
        for sentence, rows in self.tables.items():
            parts += [sentence, _table(rows)]
        return "\n\n".join(parts)


def write_figures(page: Path, figures: Figures) -> None:
    """Put a machine's section into a page, in the place of an earlier one of the same card."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    there, after = rest.split(END)
    sections = [section.strip() for section in re.split(r"^(?=### )", there, flags=re.MULTILINE)]
    heading = f"### {figures.machine['card']}\n"
    kept = [section for section in sections if section.startswith("### ") and not section.startswith(heading)]
    text = "\n\n".join(sorted([*kept, figures.section()]))
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _table(rows: Iterable[Row]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines: list[Iterable[object]] = [columns, ["---"] * len(columns)]
    lines += [[row.get(column, "") for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
