"""Fair comparison: configs differ in what they are meant to differ in, and in nothing else. Nothing is executed.

`read_targets` reads the configs, `compare` compares them, and `as_text` or `as_data` tell what came out.
"""

from __future__ import annotations

from provecfg.comparison.factors import NAMES as FACTORS
from provecfg.comparison.judging import Comparison, Status, compare
from provecfg.comparison.reading import read_targets, refuse_alone
from provecfg.comparison.reporting import as_data, as_text

__all__ = ["FACTORS", "Comparison", "Status", "as_data", "as_text", "compare", "read_targets", "refuse_alone"]
