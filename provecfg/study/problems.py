"""What can be wrong with a study file: its `CFG1xx` codes."""

from __future__ import annotations

from typing import Final

from provecfg.findings import Problem, Severity

SYNTAX: Final = Problem(
    "CFG101",
    "study-syntax",
    "The study file is not YAML, or not a mapping of fields.",
    "Nothing in it can be read.",
    Severity.ERROR,
    "name: [loss-study\n",
    "name: loss-study\n",
    "yaml.org/spec/1.1",
)
UNKNOWN_KEY: Final = Problem(
    "CFG102",
    "study-unknown-key",
    "A key that a study does not have.",
    "It would have no effect, and what was meant by it would keep its default.",
    Severity.ERROR,
    "name: a\nsedes: [1, 2]\n",
    "name: a\nseeds: [1, 2]\n",
    "provecfg schema",
)
VALUE: Final = Problem(
    "CFG103",
    "study-value",
    "A value of the wrong type, out of its range, or not known.",
    "No config can be made of it.",
    Severity.ERROR,
    "name: a\nearly_stopping: {patience: 0}\n",
    "name: a\nearly_stopping: {patience: 1}\n",
    "provecfg schema",
)
CONFLICT: Final = Problem(
    "CFG104",
    "study-conflict",
    "Values that are right alone and wrong together.",
    "The configs would fail, two of them would be the same, or what the study says would change nothing.",
    Severity.ERROR,
    "name: a\nschedule: {max_iters: 1000, val_interval: 5000}\n",
    "name: a\nschedule: {max_iters: 1000, val_interval: 100}\n",
    "provecfg.invariants",
)
