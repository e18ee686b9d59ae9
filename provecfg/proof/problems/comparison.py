"""Codes PROOF100 to PROOF109: what cells of a comparison differ in."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
