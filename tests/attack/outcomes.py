"""What no command may do, whatever it was given."""

from __future__ import annotations

import unicodedata

from tests.attack.bounds import Ran

_TURNS_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def fault_of(ran: Ran) -> str | None:
    """What is wrong with how a command ended, or None: its code, a traceback, what a terminal would obey."""
    text = ran.output + ran.errors
    if ran.code not in (0, 1, 2):
        return f"exit code {ran.code}"
    if "Traceback (most recent call last)" in text or "could not judge" in text:
        return text[-1500:]
    controls = {
        character
        for character in text.replace("\r\n", "\n")
        if character in _TURNS_TEXT or (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t")
    }
    return f"it prints {sorted(map(ascii, controls))}" if controls else None


def difference(ran: Ran, again: Ran) -> str | None:
    """What is wrong where the same command says something else the second time, or None."""
    return None if ran == again else f"the second time it says something else: {ran}, then {again}"[:1500]
