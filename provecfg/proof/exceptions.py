"""Exceptions of the config's classes, in words."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line of what an exception says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def described(error: BaseException) -> str:
    """Its class, and the first line of what it says."""
    return f"{type(error).__name__}: {first_line(error)}"
