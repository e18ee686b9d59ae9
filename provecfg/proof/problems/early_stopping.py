"""Codes PROOF060 to PROOF079: early stopping and the best checkpoint."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
