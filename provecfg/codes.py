"""Every code there is: what `provecfg rule`, `list rules` and docs/rules.md show."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

from provecfg import comparison, findings, mmconfig, proof, study, training
from provecfg.findings import Problem, family_of
from provecfg.rules import RULES

FAMILIES = {
    "CFG": "The file itself",
    "REG": "Names and arguments",
    "LOSS": "Losses",
    "HEAD": "Heads",
    "STOP": "Early stopping and best checkpoint",
    "SCHED": "Loops, intervals, schedulers",
    "DATA": "Data and evaluation",
    "RUN": "Environment and runtime",
    "PROOF": "What the real classes do",
}
"""Family of codes -> what it is about, in the order in which they are listed."""

_FOUND_BY = {comparison: "provecfg compare", proof: "provecfg prove", training: "provecfg run"}
"""Rooms whose problems show in no few lines of a config, so that their source is the command that finds them."""


@functools.cache
def problems() -> dict[str, Problem]:
    """Every code's documentation, by family and number."""
    listed = [rule.problem for rule in RULES]
    for room in (findings, mmconfig, study, training, proof, comparison):
        source = _FOUND_BY.get(room, "")
        listed += [replace(problem, source=problem.source or source) for problem in _problems_in(room)]
    order = list(FAMILIES)
    listed.sort(key=lambda problem: (order.index(family_of(problem.code)), problem.code))
    return {problem.code: problem for problem in listed}


def _problems_in(room: ModuleType) -> Iterator[Problem]:
    """What the `problems` module of a room defines, and those of the rooms in it."""
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        if module.name.endswith(".problems"):
            values = vars(importlib.import_module(module.name)).values()
            yield from (value for value in values if isinstance(value, Problem))
        elif module.ispkg and room is proof:  # a check is a room of its own, light to import but for its `check`
            yield from _problems_in(importlib.import_module(module.name))
