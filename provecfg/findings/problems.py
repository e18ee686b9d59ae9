"""What can be wrong with how findings are silenced, and with the judging itself: codes CFG090 to CFG092."""

from __future__ import annotations

from typing import Final

from provecfg.findings.problem import Problem, Severity

UNUSED = Problem(
    "CFG090",
    "unused-suppression",
    "A comment silences a code that is not found on its line.",
    "The mistake it was written for is gone or has moved. Left in place, the comment hides the next one.",
    Severity.WARNING,
    "log_level = 'INFO'  # provecfg: ignore[LOSS003] weighted on purpose\n",
    "log_level = 'INFO'\n",
)
MALFORMED = Problem(
    "CFG091",
    "malformed-suppression",
    "A comment that should silence a code lacks its codes or its reason.",
    "Without codes it silences nothing. Without a reason, nobody can tell later whether it still holds.",
    Severity.WARNING,
    "log_level = 'INFO'  # provecfg: ignore\n",
    "log_level = 'INFO'\n",
)
NOT_JUDGED = Problem(
    "CFG092",
    "not-judged",
    "provecfg itself failed on this file.",
    "Nothing about it was judged. This is a mistake in provecfg, not in the file; PROVECFG_FULL_ERROR=1 shows where.",
    Severity.ERROR,
    "",
    "",
    "provecfg",
)

RETIRED: Final[dict[str, str]] = {
    "PROOF012": "REG007",  # keys of the runner before mmengine: a table of names, which a rule judges as well
    "DATA035": "REG107",  # what the classes' own source says
    "STOP015": "REG106",
}
"""A code that nothing finds any more -> the code that says it now. It is not used again."""
