"""How a run ended, for whoever asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provecfg.errors import ExitCode
from provecfg.training import record as records
from provecfg.training.record import Record


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Args:
        name: The config's name.
        state: One of the states in `record`.
        iteration: Iterations done.
        max_iters: To be done, or None for a loop that counts epochs.
        message: Why, where there is more to say.
        requeue: Whether it asks to be started again.
        best: Metric, value and checkpoint, or None.
        work_dir: Where it is kept.
        seconds: It took, this time.
    """

    name: str
    state: str
    iteration: int
    max_iters: int | None
    message: str
    requeue: bool
    best: dict[str, Any] | None
    work_dir: Path
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """What a command that ran only this exits with."""
        if self.state == records.INTERRUPTED:
            return ExitCode.REQUEUE if self.requeue else ExitCode.INTERRUPTED
        return ExitCode.CLEAN if self.state in (records.FINISHED, records.STOPPED) else ExitCode.FINDINGS

    @classmethod
    def of_record(cls, record: Record, work_dir: Path, seconds: float = 0.0) -> Outcome:
        """The outcome of the last attempt of a record."""
        last = record.attempts[-1]
        return cls(
            record.name,
            last.state,
            last.last_iter if last.last_iter is not None else last.first_iter,
            record.max_iters,
            last.message,
            last.requeue,
            dict(record.best) if record.best else None,
            work_dir,
            seconds,
        )
