"""Codes PROOF100 to PROOF109: what cells of a comparison differ in."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

DIFFERS_ELSEWHERE = Problem(
    "PROOF100",
    "differs-elsewhere",
    "Two configs that are to differ in one factor differ in another one, too.",
    "The comparison cannot tell which of the two made the difference. What follows from the declared factor, as the "
    "import that registers its class, is listed with the reason and is none of this.",
)
SEVERAL_FACTORS = Problem(
    "PROOF101",
    "several-factors",
    "Two configs differ in several factors, and nobody said in which they are meant to.",
    "The comparison cannot tell which of them made the difference.",
)
DIFFERS_NOWHERE = Problem(
    "PROOF102",
    "differs-nowhere",
    "Two configs that are to differ in a factor have the same in both, once defaults are filled in.",
    "Both runs train the same; their results differ by the noise of training, which is then taken for an effect.",
)
NOT_COMPARED = Problem(
    "PROOF103",
    "not-compared",
    "A value cannot be known without running the config, so it could not be compared.",
    "Nothing by itself; whether the two differ there is for you to see.",
    Severity.NOTE,
)
