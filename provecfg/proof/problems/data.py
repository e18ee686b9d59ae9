"""Codes PROOF080 to PROOF089: the data through the real pipeline."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
