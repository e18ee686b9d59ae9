"""How much work a config may cost. All limits lie far above any real config (mmdet's largest costs 16,000 units of
work, most of mmseg's 1,600).

Work is counted, never timed, so that the same file gives the same answer on every machine.
"""

from __future__ import annotations

MAX_FILE_BYTES = 1_000_000
MAX_WORK = 150_000
"""Per config with its bases. One unit is one node of the syntax tree, one item made, 20 characters made, or 10
bytes parsed; on a slow machine, some 2 microseconds."""
MAX_FILES = 200
MAX_BASE_DEPTH = 50
MAX_NESTING = 100
"""Levels of expressions, brackets and calls in a file, and of dicts and lists in its values."""
MAX_CALLS = 40
"""Of the config's own functions, one in another."""
MAX_BITS = 10_000
"""Of an integer."""
MAX_FORMAT_WIDTH = 10_000
"""Of a field in any kind of string formatting, and its precision."""
MAX_PROBLEMS = 100
"""Of one file; those after are not said."""


class LimitError(Exception):
    """The config costs more than it may.

    Args:
        what: What was too much, as a sentence's end.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Budget:
    """What is left of the work that a config may cost."""

    __slots__ = ("left",)

    def __init__(self, work: int = MAX_WORK) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        """Take `work` units.

        Raises:
            LimitError: There is not that much left.
        """
        self.left -= work
        if self.left < 0:
            raise LimitError("it takes too much work to read")

    def spend_text(self, length: int) -> None:
        """Take what making a string of `length` characters costs."""
        self.spend(1 + length // 20)
