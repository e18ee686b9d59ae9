"""Codes PROOF090 to PROOF099: the memory forecast."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
