"""Reading files that others wrote or named, which may be anything: folders, devices, pipes, gigabytes, other encodings.

Opening a pipe can wait forever, and a device may never end, so every such file is opened here: only regular files,
without waiting, and no more of them than a limit. What goes wrong is an `OSError` with a reason in words, also where
the system would have no word against it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final

MAX_TEXT_BYTES: Final = 1_000_000
"""Of a file that people write: far above any config, study or settings."""
MAX_RECORD_BYTES: Final = 50_000_000
"""Of a file that programs write: records, receipts, logs."""
_PIECE_BYTES: Final = 65_536

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class NotRegularError(OSError):
    """A folder, a device, a pipe or a socket stands where a file should."""


class TooLargeError(OSError):
    """A file has more bytes than are read of it."""


def kind_of(mode: int) -> str | None:
    """What a path of this mode is, such as `a pipe`; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "not a file")


def status_of(path: Path, *, max_bytes: int | None = MAX_TEXT_BYTES) -> os.stat_result:
    """The status of a regular file of at most `max_bytes`, of any size where that is None.

    Raises:
        OSError: There is none. `NotRegularError` and `TooLargeError` are two of its kinds.
    """
    try:
        status = os.stat(path)
    except ValueError as error:  # a null character in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    _check(path, status, max_bytes)
    return status


def read_bytes(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """All of a regular file.

    Raises:
        OSError: It cannot be opened, is no regular file (`NotRegularError`), or has more than `max_bytes`
            (`TooLargeError`).
    """
    descriptor = _opened(path)
    try:
        _check(path, os.fstat(descriptor), max_bytes)
        # Not the size that fstat gives: files under /proc have none.
        data = _read_at_most(descriptor, max_bytes + 1)
    except OSError as error:
        error.filename = error.filename or str(path)  # that of a failing read has none
        raise
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise _too_large(path, max_bytes)
    return data


def open_regular(path: Path) -> BinaryIO:
    """A regular file of any size, opened for reading: an image, say.

    Raises:
        OSError: It cannot be opened, or is no regular file (`NotRegularError`).
    """
    descriptor = _opened(path)
    try:
        _check(path, os.fstat(descriptor), None)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES, errors: str = "strict") -> str:
    """The text of a regular file of UTF-8, its newlines made `\\n`.

    Args:
        path: The file.
        max_bytes: How many it may have.
        errors: What becomes of bytes that are not UTF-8, as `bytes.decode` takes it.

    Raises:
        OSError: See `read_bytes`.
        UnicodeDecodeError: It is not UTF-8.
    """
    text = read_bytes(path, max_bytes=max_bytes).decode("utf-8", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_json(path: Path, *, max_bytes: int = MAX_RECORD_BYTES) -> Any:
    """The value of a regular file of JSON.

    Raises:
        OSError: See `read_bytes`.
        ValueError: It is not UTF-8, not JSON, or nested too deeply.
    """
    text = read_text(path, max_bytes=max_bytes)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _opened(path: Path) -> int:
    # Without O_NONBLOCK, a pipe would wait for a writer; opened so, it is seen to be one.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags)
    except ValueError as error:  # a null character in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None


def _read_at_most(descriptor: int, size: int) -> bytes:
    # In pieces, since room is made for all that is asked for: a megabyte for a file of a hundred lines.
    chunks: list[bytes] = []
    while size > 0 and (chunk := os.read(descriptor, min(size, _PIECE_BYTES))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _check(path: Path, status: os.stat_result, max_bytes: int | None) -> None:
    kind = kind_of(status.st_mode)
    if kind is not None:
        raise NotRegularError(errno.EINVAL, f"it is {kind}", str(path))
    if max_bytes is not None and status.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _too_large(path: Path, max_bytes: int) -> TooLargeError:
    return TooLargeError(errno.EFBIG, f"it is larger than {max_bytes:,} bytes", str(path))
