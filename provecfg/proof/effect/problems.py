"""Codes PROOF120 to PROOF129: keys that are declared, and dead."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

BUILDS_THE_SAME = Problem(
    "PROOF120",
    "dead-key",
    "What is built of the config is the same whatever the value of a key.",
    "A class takes the key and does nothing with it, beside what else is declared: it is believed to be set, and is "
    "not.",
    Severity.WARNING,
)
COMPUTES_THE_SAME = Problem(
    "PROOF121",
    "key-without-trace",
    "A key of the model is kept, and a training step and a prediction are the same whatever its value.",
    "It is read only under a condition that does not hold here, or never. Looked for with `--thorough` alone.",
    Severity.NOTE,
)
