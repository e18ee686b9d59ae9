"""Every rule, family by family."""

from __future__ import annotations

from typing import Final

from provecfg.rules import (
    colours,
    data,
    head_numbers,
    heads,
    intervals,
    layers,
    losses,
    mined,
    names,
    optimization,
    parts,
    pipeline_order,
    pixel_loss_head,
    runtime,
    schedule,
    splits,
    stopping,
    written_equation,
)
from provecfg.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *layers.RULES,
    *written_equation.RULES,
    *names.RULES,
    *mined.RULES,
    *parts.RULES,
    *losses.RULES,
    *heads.RULES,
    *pixel_loss_head.RULES,
    *head_numbers.RULES,
    *stopping.RULES,
    *schedule.RULES,
    *intervals.RULES,
    *data.RULES,
    *colours.RULES,
    *pipeline_order.RULES,
    *splits.RULES,
    *runtime.RULES,
    *optimization.RULES,
)
