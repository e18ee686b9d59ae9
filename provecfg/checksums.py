"""Checksums that lie beside files, in the format that `sha256sum -c iter_8000.pth.sha256` takes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from provecfg.files import open_regular, read_text

SUFFIX = ".sha256"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)\n?")
_BLOCK_BYTES = 2**20
_LONGEST_LINE = 4096  # bytes; a digest and a file's name


class ChecksumError(Exception):
    """A file that does not hold what was written."""


def checksum_path(path: Path) -> Path:
    """Where a file's checksum is kept."""
    return path.with_name(path.name + SUFFIX)


def checksum_line(digest: str, path: Path) -> str:
    """The checksum file's text for a hexadecimal SHA-256."""
    return f"{digest}  {path.name}\n"


def verify_checksum(path: Path) -> bool:
    """Compare a file with the checksum beside it.

    Args:
        path: The file. It is read whole.

    Returns:
        Whether there was a checksum to compare with.

    Raises:
        ChecksumError: The file differs from it.
        OSError: The file cannot be read.
    """
    try:
        text = read_text(checksum_path(path), max_bytes=_LONGEST_LINE)
    except (OSError, UnicodeDecodeError):
        return False
    line = _LINE.fullmatch(text)
    if line is None:
        return False  # a spoilt checksum says nothing about its file
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    if digest.hexdigest() != line[1]:
        raise ChecksumError(f"it does not hold what was written: its SHA-256 is not the one in {path.name}{SUFFIX}")
    return True
