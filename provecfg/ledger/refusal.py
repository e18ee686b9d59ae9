"""Why a cell ended before it had a record to say so in: a finding, say. Written by the task that had it trained."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provecfg.training.json_file import BrokenFileError, read_json_file, write_json_file

FILENAME: Final = "refusal.json"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cell's end without a record.

    Args:
        time: ISO 8601, UTC.
        message: Why.
    """

    time: str
    message: str

    def write(self, work_dir: Path) -> None:
        """Leave it in the cell's work dir; where that cannot be written to, the task's own output has the reason."""
        with suppress(OSError):
            write_json_file(work_dir / FILENAME, self)


def read_refusal(work_dir: Path) -> Refusal | None:
    """The refusal in a work dir, or None where there is none that can be read."""
    with suppress(BrokenFileError, OSError):
        return read_json_file(work_dir / FILENAME, Refusal)
    return None


def clear_refusal(work_dir: Path) -> None:
    """Begin anew."""
    with suppress(OSError):
        (work_dir / FILENAME).unlink(missing_ok=True)
