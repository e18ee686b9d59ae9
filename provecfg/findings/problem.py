"""What a code means: one class for what rules, readers, runs and proofs find. It documents the code by itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.IntEnum):
    """How bad a finding is.

    ERROR: the config fails, or does something other than it declares.
    WARNING: it runs, and is probably not what was meant.
    NOTE: worth knowing; never changes the exit code.
    """

    NOTE = 0
    WARNING = 1
    ERROR = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of thing that can be wrong.

    Args:
        code: Family and three digits, such as `LOSS003`; never reused.
        name: The code in words, such as `softmax-focal-loss`.
        summary: What is wrong, one sentence.
        why: What happens if it is left so.
        severity: Of all its findings; see `Severity`.
        bad: The smallest config that has it, or ''; a line `name.py:` starts a further file.
        good: The same without it.
        source: Where it is decided.
        known_problems: Where it is silent or wrong, or ''.
    """

    code: str
    name: str
    summary: str
    why: str
    severity: Severity = Severity.ERROR
    bad: str = ""
    good: str = ""
    source: str = ""
    known_problems: str = ""


def family_of(code: str) -> str:
    """The letters that a code begins with."""
    return code.rstrip("0123456789")


def is_found_by_running(code: str) -> bool:
    """Whether a code is found by `run` or `prove` alone, on the machine, the data or the real classes."""
    return code.startswith(("RUN1", "PROOF"))
