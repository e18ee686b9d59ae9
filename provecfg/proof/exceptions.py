"""Exceptions of the config's classes, in words."""

from __future__ import annotations

import linecache


def first_line(error: BaseException) -> str:
    """The first line of what an exception says; the line of source that raised where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "") or line_of(error)


def described(error: BaseException) -> str:
    """Its class, and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}"


def line_of(error: BaseException) -> str:
    """The source line that raised, for an exception that says nothing, such as a bare `assert`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno).strip() if trace is not None else ""
    return f"in the line `{line}`" if line else "no message"
