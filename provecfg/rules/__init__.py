"""What provecfg knows about mistakes in configs: `judge` runs the rules on one that was read."""

from __future__ import annotations

from provecfg.rules.judge import judge
from provecfg.rules.rule import Mark, Rule, rule
from provecfg.rules.table import RULES

__all__ = ["RULES", "Mark", "Rule", "judge", "rule"]
