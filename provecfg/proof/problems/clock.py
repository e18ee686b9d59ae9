"""Codes PROOF040 to PROOF059: the schedules over the whole run."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
