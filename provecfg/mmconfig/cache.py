"""Files as they were parsed, kept while they do not change on disk."""

from __future__ import annotations

from pathlib import Path

from provecfg.mmconfig.budget import Budget
from provecfg.mmconfig.files import read_text, status_of
from provecfg.mmconfig.parsed_file import ParsedFile, check_suffix, parse_file
from provecfg.mmconfig.shipped_bases import is_shipped, shipped_text

_MAX_COST = 20_000_000
"""Total cost of the files that are kept; some ten thousand of mmseg's."""

_Version = tuple[int, int, int]
"""Time, size and inode of a file: where all are the same, its text is."""
_SHIPPED: _Version = (0, 0, 0)


class ParsedFileCache:
    """Opens files, and keeps what it parsed by path and version."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Path, bool], tuple[_Version, ParsedFile]] = {}
        self._cost = 0

    def open(self, path: Path, budget: Budget, *, lazy: bool) -> ParsedFile:
        """A file, parsed.

        Args:
            path: Absolute.
            budget: Pays for parsing, also where that was done before, so that the order of readings does not matter.
            lazy: Read it in the read_base() style, which substitutes nothing.

        Raises:
            UnreadableError: There is no such text.
            LimitError: The budget does not suffice.
        """
        version = _SHIPPED if is_shipped(path) else _version_of(path)
        version_before, parsed = self._entries.get((path, lazy), (None, None))
        if parsed is not None and version_before == version and parsed.is_fresh:
            budget.spend(parsed.cost)
            return parsed
        check_suffix(path)
        text = shipped_text(path) if is_shipped(path) else read_text(path)
        parsed = parse_file(path, text, budget, lazy=lazy)
        if self._cost > _MAX_COST:
            self._entries.clear()
            self._cost = 0
        self._cost += parsed.cost
        self._entries[path, lazy] = (version, parsed)
        return parsed


def _version_of(path: Path) -> _Version:
    status = status_of(path)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
