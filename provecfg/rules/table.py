"""Every rule, family by family."""

from __future__ import annotations

from typing import Final

from provecfg.rules import data, heads, layers, losses, names, pixel_loss_head, runtime, schedule, stopping
from provecfg.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    *layers.RULES,
    *names.RULES,
    *losses.RULES,
    *heads.RULES,
    *pixel_loss_head.RULES,
    *stopping.RULES,
    *schedule.RULES,
    *data.RULES,
    *runtime.RULES,
)
