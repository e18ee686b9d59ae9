"""Codes PROOF001 to PROOF019: what is declared and never read or built."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
