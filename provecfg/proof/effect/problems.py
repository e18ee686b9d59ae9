"""Codes PROOF130 to PROOF139: keys that are declared, and dead."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

BUILDS_THE_SAME = Problem(
    "PROOF130",
    "dead-key",
    "What is built of the config is the same whatever the value of a key.",
    "A class takes the key and does nothing with it, beside what else is declared: it is believed to be set, and is "
    "not.",
    Severity.NOTE,
)
