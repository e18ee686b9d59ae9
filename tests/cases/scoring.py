"""The faulty configs and their correct twins in `faults/`, and what counts as catching one (README.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).with_name("faults")
FAULTS = sorted(FOLDER.glob("F*/case.json"))
CLEAN = sorted(FOLDER.glob("clean/*.py"))


def keys_of(case: Path) -> list[str]:
    """The dotted paths where a finding about the fault points."""
    keys: list[str] = json.loads(case.read_text(encoding="utf-8"))["keys"]
    return keys


def is_within(key: str, others: Iterable[str]) -> bool:
    """Whether the key equals one of the others, or one is the other's beginning, cut at a dot or bracket."""
    for other in others:
        short, long = sorted((key, other), key=len)
        if short and long.startswith(short) and long[len(short) :][:1] in ("", ".", "["):
            return True
    return False
