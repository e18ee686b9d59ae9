"""What the memory forecast has to allow for, fitted to what cards were measured to take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MemoryPair:
    """A forecast and what came of it, in bytes.

    Args:
        forecast: Of the tensors at the fullest moment of a step.
        allocated: The most that tensors took.
        reserved: The most that torch's allocator held for them.
        outside: What the card had in use beside that.
    """

    forecast: int
    allocated: int
    reserved: int
    outside: int


@dataclass(frozen=True)
class Allowances:
    """What comes on top of a forecast.

    Args:
        share: Of the forecast: the least that covers what the allocator held in the wanted part of the runs, >= 0.
        outside: Bytes beside it: the most that any run had in use.
        low: How far the worst forecast was below what tensors took, as a fraction of that, >= 0.
        high: How far above, likewise.
        runs: How many runs this is of.
    """

    share: float
    outside: int
    low: float
    high: float
    runs: int


def fitted_allowances(pairs: Sequence[MemoryPair], *, covered: float = 0.95) -> Allowances:
    """The least allowances that would have been enough.

    Args:
        pairs: Of runs that did not run out of memory.
        covered: The part of the runs that `share` is to be enough for, in (0, 1]. One run more is counted rather than
            one less.

    Raises:
        ValueError: There are no runs, a forecast or a measurement is not positive, or `covered` is out of its range.
    """
    if not pairs:
        raise ValueError("there is no run to fit allowances to")
    if not 0 < covered <= 1:
        raise ValueError(f"covered is {covered}, must be in (0, 1]")
    for pair in pairs:
        if min(pair.forecast, pair.allocated, pair.reserved) <= 0:
            raise ValueError(f"{pair}: a forecast, and what tensors and the allocator took, are more than 0 bytes")
    shares = sorted(max(0.0, pair.reserved / pair.forecast - 1) for pair in pairs)
    # A hair less, since 0.95 * 20 is 19.000000000000004 in some orders of rounding.
    needed = math.ceil(covered * len(pairs) - 1e-9)
    errors = [pair.forecast / pair.allocated - 1 for pair in pairs]
    return Allowances(
        share=shares[needed - 1],
        outside=max(pair.outside for pair in pairs),
        low=max(0.0, -min(errors)),
        high=max(0.0, max(errors)),
        runs=len(pairs),
    )


def pairs_of(rows: Iterable[Mapping[str, Any]]) -> list[MemoryPair]:
    """The runs of the table `forecast` that did not run out of memory."""
    return [
        MemoryPair(row["forecast"], row["allocated"], row["reserved"], row["outside"])
        for row in rows
        if row["state"] == "finished"
    ]
