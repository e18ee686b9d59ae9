"""What a proof can find: the `PROOF` codes, a module for each thing that is proved. Nothing heavy is imported here."""

from __future__ import annotations

from provecfg.proof.problems import (
    clock,
    comparison,
    data,
    declaration,
    early_stopping,
    forecast,
    process,
    training_step,
)
from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = (
    *declaration.PROBLEMS,
    *training_step.PROBLEMS,
    *clock.PROBLEMS,
    *early_stopping.PROBLEMS,
    *data.PROBLEMS,
    *forecast.PROBLEMS,
    *comparison.PROBLEMS,
    *process.PROBLEMS,
)
