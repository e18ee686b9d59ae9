"""The text of the files that a config names, or what is wrong with them as a problem of the config."""

from __future__ import annotations

import os
from pathlib import Path

from provecfg import files
from provecfg.findings import Problem, Span
from provecfg.mmconfig.budget import MAX_FILE_BYTES
from provecfg.mmconfig.problems import MISSING_FILE, TOO_LARGE, UNREADABLE_FILE, UNREADABLE_TEXT


class UnreadableError(Exception):
    """A file that cannot be read as a config.

    Args:
        problem: What kind of problem it is.
        message: With the path or the value.
        span: Where in the file, if it is something in it.
        hint: What to do about it.
    """

    def __init__(self, problem: Problem, message: str, span: Span | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message
        self.span = span
        self.hint = hint


def status_of(path: Path) -> os.stat_result:
    """The status of a regular file of acceptable size.

    Raises:
        UnreadableError: It is not one.
    """
    try:
        return files.status_of(path, max_bytes=MAX_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise UnreadableError(MISSING_FILE, f"{path} does not exist") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def read_text(path: Path) -> str:
    """The text of a config, its newlines made `\\n` as mmengine's `open` does.

    Raises:
        UnreadableError: It cannot be read, is not UTF-8, or is too large.
    """
    try:
        data = files.read_bytes(path, max_bytes=MAX_FILE_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "ignore")) + 1
        raise UnreadableError(
            UNREADABLE_TEXT,
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            Span(row, column, row, column + 1),
            "save the file as UTF-8",
        ) from None
    return checked_text(text)


def checked_text(text: str) -> str:
    """A config's text, its newlines made `\\n` as mmengine's `open` does.

    Raises:
        UnreadableError: It has a byte order mark, a null or a lone surrogate, or is too large.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        size = len(text) if text.isascii() else len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise UnreadableError(
            UNREADABLE_TEXT,
            f"U+{ord(text[error.start]):04X} is half of a character and cannot be saved as UTF-8",
            _span_of(text, error.start),
        ) from None
    if size > MAX_FILE_BYTES:
        raise UnreadableError(TOO_LARGE, f"its text is larger than {MAX_FILE_BYTES:,} bytes")
    if text.startswith("\ufeff"):
        raise UnreadableError(
            UNREADABLE_TEXT,
            "the file starts with a byte order mark",
            Span(1, 1, 1, 2),
            "save the file as UTF-8 without a byte order mark",
        )
    null = text.find("\0")
    if null >= 0:
        raise UnreadableError(UNREADABLE_TEXT, "the file has a null byte", _span_of(text, null))
    return text


def _span_of(text: str, offset: int) -> Span:
    row, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    return Span(row, column, row, column + 1)


def _unreadable(path: Path, error: OSError) -> UnreadableError:
    reason = error.strerror or str(error)
    if isinstance(error, (files.NotRegularError, files.TooLargeError)):
        problem = TOO_LARGE if isinstance(error, files.TooLargeError) else UNREADABLE_FILE
        return UnreadableError(problem, f"{path} {reason.removeprefix('it ')}")
    return UnreadableError(UNREADABLE_FILE, f"{path} cannot be opened: {reason}")
