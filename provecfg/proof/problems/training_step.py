"""Codes PROOF020 to PROOF039: the total loss and the gradients of one training step."""

from __future__ import annotations

from provecfg.training.problems import Problem

PROBLEMS: tuple[Problem, ...] = ()
