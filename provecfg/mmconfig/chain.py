"""One reading of a config: the files that it opened, those under way, and what is left of its budget."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from provecfg.mmconfig.budget import MAX_BASE_DEPTH, MAX_FILES, Budget, LimitError
from provecfg.mmconfig.cache import ParsedFileCache
from provecfg.mmconfig.files import UnreadableError, checked_text
from provecfg.mmconfig.parsed_file import ParsedFile, check_suffix, parse_file
from provecfg.mmconfig.problems import BASE_CYCLE
from provecfg.mmconfig.resolved import Resolved


class Chain:
    """One reading: the files that were opened for it, and what is left of its budget.

    Args:
        cache: Opens the files.
        budget: What the reading may cost.
        texts: For files that are read as if they held another text, that text.
    """

    def __init__(self, cache: ParsedFileCache, budget: Budget, texts: Mapping[Path, str]) -> None:
        self.cache = cache
        self.budget = budget
        self.texts = texts
        self.open_paths: list[Path] = []
        self.done: dict[Path, Resolved] = {}
        self._opened: dict[tuple[Path, bool], ParsedFile] = {}

    def open(self, path: Path, *, lazy: bool) -> ParsedFile:
        """A file, parsed; see `ParsedFileCache.open`."""
        parsed = self._opened.get((path, lazy))
        if parsed is None:
            text = self.texts.get(path)
            if text is None:
                parsed = self.cache.open(path, self.budget, lazy=lazy)
            else:
                check_suffix(path)
                parsed = parse_file(path, checked_text(text), self.budget, lazy=lazy)
            self._opened[path, lazy] = parsed
        return parsed

    def enter(self, path: Path) -> None:
        """Begin with a file.

        Raises:
            UnreadableError: It is under way already.
            LimitError: There are too many, or too deep.
        """
        if path in self.open_paths:
            names = " -> ".join(cyclic.name for cyclic in (*self.open_paths[self.open_paths.index(path) :], path))
            raise UnreadableError(BASE_CYCLE, f"the config inherits from itself: {names}")
        if len(self.open_paths) >= MAX_BASE_DEPTH:
            raise LimitError("its bases are nested too deeply")
        if len(self.done) >= MAX_FILES:
            raise LimitError("it has too many bases")
        self.open_paths.append(path)

    def leave(self) -> None:
        """End with the file that was begun last."""
        self.open_paths.pop()
