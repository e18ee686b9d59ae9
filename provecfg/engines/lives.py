"""When a cell is started again, the same for every engine."""

from __future__ import annotations

import re
from typing import Final

from provecfg.engines.cell_process import LifeEnd, Verdict

MOST_EQUAL_FAILURES: Final = 3
"""So many cells of a study that fail alike, and no more are begun."""

_NUMBERS = re.compile(r"\d+")


def kind_of_failure(message: str) -> str:
    """A failure's message without its numbers: equal for failures of one cause."""
    return _NUMBERS.sub("#", message)


class Lives:
    """The lives of a cell that one process has seen.

    What is deterministic is never tried again. What was killed is, `retries` times. What asks to be started again is,
    unless two lives in a row have not made an iteration between them.

    Args:
        retries: See above.
    """

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._kills = 0
        self._barren = 0

    def goes_on(self, end: LifeEnd, iteration_before: int) -> bool:
        """Whether there is to be another life after this one.

        Args:
            end: How it ended.
            iteration_before: Iterations that were kept before it.
        """
        self._barren = 0 if end.iteration > iteration_before else self._barren + 1
        if end.verdict is Verdict.KILLED:
            self._kills += 1
            return self._kills <= self._retries and self._barren < 2
        return end.verdict is Verdict.AGAIN and self._barren < 2
