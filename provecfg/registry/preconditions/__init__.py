"""What constructors refuse of the values that a config gives them, told from their source.

`excerpt` takes out of a constructor what can refuse a plain value: assertions, conditional raises, arithmetic, and what
leads to them. `execution` follows an excerpt's statements and calls with a config's values, `evaluation` its
expressions; what is not known stays unknown, and only what is certain to be refused is said, by `refusals`. Nothing of
the packages is imported or run.
"""

from __future__ import annotations

from provecfg.registry.preconditions.outcomes import Refusal
from provecfg.registry.preconditions.refusals import refusal, refusal_by_method

__all__ = ["Refusal", "refusal", "refusal_by_method"]
