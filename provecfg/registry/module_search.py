"""Find the modules that `custom_imports` names, and read what importing them would import."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from provecfg.registry.outline import Module, outline_of, parsed
from provecfg.registry.registrations import registers_unseen, registrations_in
from provecfg.registry.syntax import dotted_text, outer_statements
from provecfg.registry.user_modules import Unread, UserModules, changed_at

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


class _Walk:
    def __init__(self, folders: Sequence[Path], known: frozenset[str]) -> None:
        self.folders = folders
        self.known = known
        self.modules: dict[str, Module] = {}
        self.unread: dict[str, Unread] = {}
        self.files: dict[Path, int] = {}
        self.registered: dict[str, dict[str, dict[str, str]]] = {}
        self.homes: dict[str, tuple[Path | None, bool]] = {}
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
        return self._top(top)[1]

    def _top(self, top: str) -> tuple[Path | None, bool]:
        """The file or folder of a top-level module, and whether it stands in one of the folders."""
        if top not in self.homes:
            self.homes[top] = self._look_for(top)
        return self.homes[top]

    def _look_for(self, top: str) -> tuple[Path | None, bool]:
        for folder in self.folders:
            for place in (folder / top / "__init__.py", folder / f"{top}.py"):
                if place.is_file():
                    return place, True
            if (folder / top).is_dir() and any((folder / top).glob("*.py")):
                return folder / top, True
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return None, False
        if spec is None:
            return None, False
        if spec.origin and spec.origin.endswith(".py"):
            return Path(spec.origin), False
        for location in spec.submodule_search_locations or ():
            return Path(location), False
        return None, False

    def _import(self, name: str, named: bool) -> Iterator[str]:
        """Read a module and the packages around it; yields the modules that these import."""
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts):
            if named:
                self._note(name, "not a module name")
            return
        place, _ = self._top(parts[0])
        for depth, part in enumerate(parts):
            dotted = ".".join(parts[: depth + 1])
            if depth:
                place = _below(place, part)
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
        for found in registrations_in(module, self.modules):
            there = self.registered.setdefault(found.registry, {}).setdefault(found.scope, {})
            there |= dict.fromkeys(found.names, found.target)
        row = registers_unseen(module) or (None if module.imports_folder else _imports_unseen(module))
        if row is not None:
            self._note(module.name, f"{module.file}:{row}: what this registers is known only when it runs")


def _imports_unseen(module: Module) -> int | None:
    """The line at the module's top level that imports a module by a computed name, or None."""
    for statement in outer_statements(module.body):
        if isinstance(statement, (ast.Expr, ast.Assign)) and isinstance(statement.value, ast.Call):
            function = (dotted_text(statement.value.func) or "").rpartition(".")[2]
            if function in ("import_module", "__import__", "import_modules_from_strings"):
                return statement.lineno
    return None


def _below(place: Path | None, part: str) -> Path | None:
    if place is None:
        return None
    folder = place if place.is_dir() else place.parent if place.name == "__init__.py" else None
    if folder is None:
        return None
    for inner in (folder / part / "__init__.py", folder / f"{part}.py"):
        if inner.is_file():
            return inner
    return folder / part if (folder / part).is_dir() else None
