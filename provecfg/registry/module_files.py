"""The modules below some folders by their dotted names, each read when it is first asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from provecfg.registry.outline import Module, changed_at, outline_of, parsed

MOST_MODULES: Final = 300
"""More modules than this are not read for one config."""
MOST_BYTES: Final = 4_000_000
"""Nor more source than this; it takes about two seconds."""


class ModuleFiles(Mapping[str, Module]):
    """Modules by dotted name, looked for on disk.

    Args:
        roots: Folders that top-level modules and packages stand in, the first that has one wins.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(roots)
        self.files: dict[Path, int] = {}
        """The files that were read, with the time of their last change in ns."""
        self._tops: dict[str, Path | None] = {}
        self._modules: dict[str, Module | None] = {}
        self._bytes = 0

    def __getitem__(self, name: str) -> Module:
        module = self._known(name)
        if module is None:
            raise KeyError(name)
        return module

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._known(name) is not None  # most names are other packages'

    def _known(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, module in list(self._modules.items()) if module is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def file_of(self, name: str) -> Path | None:
        """The file of a module, or None where the folders have none."""
        top, *rest = name.split(".")
        if top not in self._tops:
            self._tops[top] = _top(top, self.roots)
        place = self._tops[top]
        for part in rest:
            place = below(place, part)
        return place if place is not None and place.is_file() else None

    def _read(self, name: str) -> Module | None:
        file = self.file_of(name)
        if file is None or len(self.files) >= MOST_MODULES:
            return None
        try:
            self._bytes += file.stat().st_size
            if self._bytes > MOST_BYTES:
                return None
            self.files[file] = changed_at(file)
            return outline_of(name, file, parsed(file, self.files[file]))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _top(name: str, roots: Sequence[Path]) -> Path | None:
    """As Python looks: any folder's package or module before a folder that is no package."""
    if not name.isidentifier():
        return None
    for root in roots:
        for file in (root / name / "__init__.py", root / f"{name}.py"):
            if os.path.isfile(file):  # pathlib's raises where a name is too long, or the folder another's
                return file
    return next((root / name for root in roots if os.path.isdir(root / name)), None)


def below(place: Path | None, part: str) -> Path | None:
    """The file or folder of a submodule, given the file or folder of its package."""
    if place is None:
        return None
    folder = place if place.is_dir() else place.parent if place.name == "__init__.py" else None
    if folder is None:
        return None
    for inner in (folder / part / "__init__.py", folder / f"{part}.py"):
        if os.path.isfile(inner):
            return inner
    return folder / part if os.path.isdir(folder / part) else None


def module_name(file: Path) -> tuple[Path, str]:
    """The folder that a file's top-level package stands in, and the file's dotted name from there."""
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)
