"""The page of `provecfg --help`, as a file that is made of the commands' definitions.

click makes the same page, but takes longer to import than Python to start. typing and pathlib take long, too, and are
not imported here.
"""

from __future__ import annotations

import binascii
import os
import sys

HELP_FILE = os.path.join(os.path.dirname(__file__), "help.txt")
"""A line that tells which source the page is made of, and the page."""
_SOURCE = os.path.join(os.path.dirname(__file__), "cli.py")
WIDTH = 80
"""Columns that the page is made for; in more it stays the same."""


def show() -> bool:
    """Print the page where it is what click would print; False where nothing was printed.

    Where it cannot be written, nothing is said: click, printing it anew, meets what is in the way.
    """
    if os.name != "posix" or "_PROVECFG_COMPLETE" in os.environ:
        return False
    try:
        output = sys.stdout.fileno()
        if not _is_wide(output):
            return False
        with open(HELP_FILE, "rb") as file:
            made_of, _, page = file.read().partition(b"\n")
        if made_of.decode() != source_digest():
            return False
        while page:
            page = page[os.write(output, page) :]
    except (OSError, ValueError, AttributeError):  # a stream that is closed, absent, or none of the system's
        return False
    return True


def source_digest() -> str:
    """What tells the module that lists the commands, as it stands, from one that was edited since the page was made."""
    with open(_SOURCE, "rb") as file:
        return f"{binascii.crc32(file.read()):08x}"


def _is_wide(output: int) -> bool:
    """Whether click takes a file descriptor for one of `WIDTH` columns or more; COLUMNS is asked first, as it does."""
    columns = os.environ.get("COLUMNS")
    if columns is not None:
        return columns.isdecimal() and int(columns) >= WIDTH
    return not os.isatty(output) or os.get_terminal_size(output).columns >= WIDTH
