"""What a code means, what was found, and the one way from there to what is shown.

It needs the standard library alone: whoever finds something brings the config and the judge.
"""

from __future__ import annotations

from provecfg.findings.finding import Applicability, Edit, Finding, Fix, Origin, Span, in_file_order, is_failure
from provecfg.findings.place import placed
from provecfg.findings.problem import Problem, Severity, family_of

__all__ = [
    "Applicability",
    "Edit",
    "Finding",
    "Fix",
    "Origin",
    "Problem",
    "Severity",
    "Span",
    "family_of",
    "in_file_order",
    "is_failure",
    "placed",
]
