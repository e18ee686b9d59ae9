"""How following an excerpt ends: with a refusal, or as Python leaves a function or a loop."""

from __future__ import annotations

from typing import Any, NamedTuple


class Refusal(NamedTuple):
    """What a constructor refuses.

    Args:
        error: The exception's name (`AssertionError`).
        words: Its message, or the condition that did not hold.
        owner: The class or function whose source says so.
        keys: The arguments that the condition is about, those first that it names itself.
        condition: The source of the condition.
        is_missing: Whether a key is looked up that is not there.
    """

    error: str
    words: str
    owner: str
    keys: tuple[str, ...]
    condition: str
    is_missing: bool = False


class LimitError(Exception):
    """More steps than a constructor takes."""


class RefusedError(Exception):
    """Something certain to be refused; ends the following."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


class ReturnError(Exception):
    """A `return`, with its value."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class BreakError(Exception):
    """A `break`."""


class ContinueError(Exception):
    """A `continue`."""
