"""A total loss in words, as generated configs are headed by it and proofs print it: `total = 1 CE[decode] + ...`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_NUMBER: Final = r"-?\d[\d.]*(?:e[+-]?\d+)?"
_TERM: Final = re.compile(
    rf"(?P<sign> \+ | - )?(?:(?P<weight>{_NUMBER})|\((?P<start>{_NUMBER}) to (?P<end>{_NUMBER})\)) "
    r"(?P<title>[^\[\]]+)\[(?P<head>[^\[\]]+)\]"
)
_TOTAL: Final = "total = "


class WeightedTerm(NamedTuple):
    """A loss of a head in a total.

    Args:
        weight: Factor on the loss; where it changes over the run, at the first iteration.
        title: What the loss is called.
        head: What the head is called: `decode`, `auxiliary`.
        end_weight: Factor at the last iteration; None where it stays.
    """

    weight: float
    title: str
    head: str
    end_weight: float | None = None


def equation_text(terms: Iterable[WeightedTerm], undeclared: Iterable[str] = ()) -> str:
    """The equation of a total, `total = 1 CE[decode] + (0.5 to 0.1) focal[decode]`; of no term, `total = 0`.

    Args:
        terms: What is added up. A negative weight is subtracted.
        undeclared: Names of what is in the total beside them, of unknown weight.
    """
    parts: list[str] = []
    for term in terms:
        is_subtracted = term.weight < 0 and term.end_weight is None
        if parts:
            parts.append(" - " if is_subtracted else " + ")
        elif is_subtracted:
            parts.append("-")
        parts.append(f"{_factor(term)} {term.title}[{term.head}]")
    for name in undeclared:
        parts.append(f"{' + ' if parts else ''}{name} (not declared)")
    return _TOTAL + ("".join(parts) or "0")


def terms_of(equation: str) -> tuple[WeightedTerm, ...] | None:
    """The terms of an equation that `equation_text` wrote; None where it reads otherwise.

    Titles and heads with brackets in them, and what is not declared, are written for people alone.
    """
    text = equation.removeprefix(_TOTAL)
    if text == equation:
        return None
    terms: list[WeightedTerm] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None or (match["sign"] is None) != (position == 0):
            return None
        sign = -1.0 if match["sign"] == " - " else 1.0
        end_weight = None if match["end"] is None else float(match["end"])
        terms.append(
            WeightedTerm(sign * float(match["weight"] or match["start"]), match["title"], match["head"], end_weight)
        )
        position = match.end()
    return tuple(terms) or None


def _factor(term: WeightedTerm) -> str:
    if term.end_weight is None:
        return _number(abs(term.weight))
    return f"({_number(term.weight)} to {_number(term.end_weight)})"


def _number(value: float) -> str:
    """As short as reads back the same: 1, 0.4, 1e-05."""
    return repr(float(value)).removesuffix(".0")
