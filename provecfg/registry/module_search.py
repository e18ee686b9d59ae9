"""Find the modules that `custom_imports` names, and read what importing them would import."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

from provecfg.registry.module_files import below
from provecfg.registry.outline import Module, changed_at, outline_of, parsed
from provecfg.registry.registrations import registers_unseen, registrations_in
from provecfg.registry.syntax import dotted_text, outer_statements
from provecfg.registry.user_modules import Unread, UserModules

MOST_MODULES: Final = 300
"""More modules than this are not read for one config."""
MOST_BYTES: Final = 2_000_000
"""Nor more source than this; it takes about a second."""


def read_user_modules(imports: Iterable[str], folders: Sequence[Path], known: frozenset[str]) -> UserModules:
    """Read the modules named, and what they import of their own package or from beside the config.

    Args:
        imports: Dotted module names, as in `custom_imports`.
        folders: Where modules are looked for before `sys.path`.
        known: Top-level packages that a snapshot describes, which are not read.
    """
    return _Walk(folders, known).read(imports)


def place_of(name: str, folders: Sequence[Path]) -> Path | None:
    """The folder of a package, or the file of a module; None where there is none of this name."""
    top, *rest = name.split(".")
    for home, _ in _Walk(folders, frozenset())._homes(top) if top.isidentifier() else ():
        place = functools.reduce(below, rest, cast("Path | None", home))
        if place is not None:
            return place.parent if place.name == "__init__.py" else place
    return None


class _Walk:
    def __init__(self, folders: Sequence[Path], known: frozenset[str]) -> None:
        self.folders = folders
        self.known = known
        self.modules: dict[str, Module] = {}
        self.unread: dict[str, Unread] = {}
        self.files: dict[Path, int] = {}
        self.registered: dict[str, dict[str, dict[str, str]]] = {}
        self.homes: dict[str, list[tuple[Path, bool]]] = {}
        self.bytes = 0

    def read(self, imports: Iterable[str]) -> UserModules:
        waiting = [(name, True) for name in imports]
        seen: set[str] = set()
        tops = {name.partition(".")[0] for name, _ in waiting}
        while waiting:
            name, named = waiting.pop(0)
            top = name.partition(".")[0]
            if top in self.known or top in sys.stdlib_module_names or name in seen:
                continue
            seen.add(name)
            if not named and top not in tops and not self._is_beside(top):
                continue
            if len(self.modules) >= MOST_MODULES:
                self._note(name, f"the modules before it are {MOST_MODULES} already")
                break
            waiting += [(wanted, False) for wanted in self._import(name, named)]
        for module in self.modules.values():
            try:
                self._register(module)
            except RecursionError:
                self._note(module.name, f"{module.file}: nested too deep")
        return UserModules(self.registered, tuple(self.unread.values()), self.files, self.modules)

    def _note(self, module: str, reason: str) -> None:
        self.unread.setdefault(module, Unread(module, reason))

    def _is_beside(self, top: str) -> bool:
        return any(is_beside for _, is_beside in self._homes(top))

    def _homes(self, top: str) -> list[tuple[Path, bool]]:
        """Where a top-level module may be: a file or folder, and whether it stands in one of the folders.

        More than one where it is a folder that is no package, of which Python looks through all.
        """
        if top not in self.homes:
            self.homes[top] = self._look_for(top)
        return self.homes[top]

    def _look_for(self, top: str) -> list[tuple[Path, bool]]:
        for folder in self.folders:
            for place in (folder / top / "__init__.py", folder / f"{top}.py"):
                if os.path.isfile(place):
                    return [(place, True)]
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            return [(Path(spec.origin), False)]
        # as Python does: folders that are no packages come last, wherever they stand
        places = [(folder / top, True) for folder in self.folders if os.path.isdir(folder / top)]
        locations = spec.submodule_search_locations if spec is not None else None
        return places + [(Path(location), False) for location in locations or ()]

    def _import(self, name: str, named: bool) -> Iterator[str]:
        """Read a module and the packages around it; yields the modules that these import."""
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts):
            if named:
                self._note(name, "not a module name")
            return
        homes = [place for place, _ in self._homes(parts[0])]
        ways = [_way(home, parts[1:]) for home in homes]
        way = next((way for way in ways if way[-1] is not None), ways[0] if ways else [None])
        for depth, place in enumerate(way):
            dotted = ".".join(parts[: depth + 1])
            if place is None:
                # `from .losses import focal` asks for a module or for a name in one; only the first can be missing
                if named or depth == 0:
                    self._note(name, "not found" if depth == 0 else f"{dotted} is not found")
                return
            if dotted in self.modules or place.is_dir():
                continue
            module = self._parse(dotted, place)
            if module is None:
                return
            self.modules[dotted] = module
            yield from module.wanted

    def _parse(self, name: str, file: Path) -> Module | None:
        try:
            self.bytes += file.stat().st_size
            if self.bytes > MOST_BYTES:
                raise ValueError(f"with it, the modules hold more than {MOST_BYTES} bytes")
            self.files[file] = changed_at(file)
            return outline_of(name, file, parsed(file, self.files[file]))
        except SyntaxError as error:
            self._note(name, f"{file}:{error.lineno}: {error.msg}")
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            self._note(name, f"{file}: {error or type(error).__name__}")
        return None

    def _register(self, module: Module) -> None:
        for registration in registrations_in(module, self.modules):
            there = self.registered.setdefault(registration.registry, {}).setdefault(registration.scope, {})
            there |= dict.fromkeys(registration.names, registration.target)
        row = registers_unseen(module) or (None if module.imports_folder else _imports_unseen(module))
        if row is not None:
            self._note(module.name, f"{module.file}:{row}: what this registers is known only when it runs")


def _way(home: Path, parts: Iterable[str]) -> list[Path | None]:
    """The files or folders on the way from a top-level module's to a module's own; None from where there is none."""
    way: list[Path | None] = [home]
    for part in parts:
        way.append(below(way[-1], part))
    return way


def _imports_unseen(module: Module) -> int | None:
    """The line at the module's top level that imports a module by a computed name, or None."""
    for statement in outer_statements(module.body):
        if isinstance(statement, (ast.Expr, ast.Assign)) and isinstance(statement.value, ast.Call):
            function = (dotted_text(statement.value.func) or "").rpartition(".")[2]
            if function in ("import_module", "__import__", "import_modules_from_strings"):
                return statement.lineno
    return None
