"""The documentation of every code, from the definitions: what `provecfg rule`, `list rules` and docs/rules.md show."""

from __future__ import annotations

import functools

from provecfg import suppressions
from provecfg.mmconfig import PROBLEMS, Problem
from provecfg.proof import problems as proof
from provecfg.rules import RULES, Page
from provecfg.schema.codes import STUDY_PROBLEMS
from provecfg.training import problems as preflight
from provecfg.validate import NOT_JUDGED

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


@functools.cache
def pages() -> dict[str, Page]:
    """Every code's page, by family and number."""
    listed = [rule.page for rule in RULES]
    listed += [_of_file(problem) for problem in (*PROBLEMS, *suppressions.PROBLEMS, NOT_JUDGED, *STUDY_PROBLEMS)]
    listed += [_of_machine(problem, "provecfg run") for problem in preflight.PROBLEMS]
    listed += [_of_machine(problem, "provecfg prove") for problem in proof.PROBLEMS]
    order = list(FAMILIES)
    listed.sort(key=lambda page: (order.index(family_of(page.code)), page.code))
    return {page.code: page for page in listed}


def family_of(code: str) -> str:
    """The letters that a code begins with."""
    return code.rstrip("0123456789")


def _of_file(problem: Problem) -> Page:
    return Page(
        code=problem.code,
        name=problem.name,
        severity=problem.severity,
        summary=problem.title,
        why=problem.why,
        bad=problem.bad.rstrip("\n"),
        good=problem.good.rstrip("\n"),
        known_problems="",
        source=problem.source,
    )


def _of_machine(problem: preflight.Problem, found_by: str) -> Page:
    # Found on the data, the machine or the real classes, so that no few lines of a config show it.
    return Page(problem.code, problem.name, problem.severity, problem.title, problem.why, "", "", "", found_by)
