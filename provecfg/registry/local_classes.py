"""The classes that a config's own repository registers, each read when a config names it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from provecfg.registry.classes import ClassRecord
from provecfg.registry.module_files import ModuleFiles, module_name
from provecfg.registry.registrations import VARIABLES, registry_of, scope_above
from provecfg.registry.repository import RegisteredName, RepositoryIndex
from provecfg.registry.user_modules import UserModules

_MOST_ROOTS: Final = 200
_MOST_SCOPES: Final = 5


class LocalClass(NamedTuple):
    """One registration in a file of the repository.

    Args:
        registry: mmengine's name of the registry, or '' where the file does not tell.
        scope: Its scope, or ''.
        dotted: Dotted name of the class, or None where another module has the name of this file's.
        takes_the_place: Whether it replaces a class of its name that the release registers: it says so, or the
            repository is the package of that scope.
        nearness: How many folders its file and the config have in common.
        file: The file.
    """

    registry: str
    scope: str
    dotted: str | None
    takes_the_place: bool
    nearness: int
    file: Path


class LocalClasses:
    """What the repository around a config, and the packages that its settings name, register.

    Args:
        indices: The names, folder by folder.
        near: The config's folder.
    """

    def __init__(self, indices: Iterable[RepositoryIndex] = (), near: Path | None = None) -> None:
        self.indices = tuple(indices)
        self._near = near
        self._classes: dict[str, tuple[LocalClass, ...]] = {}

    @cached_property
    def _files(self) -> ModuleFiles:
        roots = dict.fromkeys(root for index in self.indices for root in (index.root, *index.import_roots))
        return ModuleFiles(sorted(roots, key=lambda root: _nearness(root, self._near), reverse=True)[:_MOST_ROOTS])

    @cached_property
    def _modules(self) -> UserModules:
        return UserModules(modules=self._files, files=self._files.files)

    @property
    def is_fresh(self) -> bool:
        """Whether every file that was read is as it was."""
        return "_modules" not in self.__dict__ or self._modules.is_fresh

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that is registered, whatever the registry."""
        return tuple(dict.fromkeys(name for index in self.indices for name in index.names))

    @cached_property
    def is_complete(self) -> bool:
        """Whether there is no name that only running the repository would tell."""
        return all(index.is_complete for index in self.indices)

    @cached_property
    def is_of_mmcv_1(self) -> bool:
        """Whether a file of the repository imports what only mmcv 1.x has."""
        return any(index.is_of_mmcv_1 for index in self.indices)

    def names_of(self, registry: str) -> list[str]:
        """The names that are registered in variables that are called as those of this registry are."""
        return [
            name
            for index in self.indices
            for name, entries in index.names.items()
            if any(VARIABLES.get(entry.variable.rpartition(".")[2]) == registry for entry in entries)
        ]

    def registers(self, name: str) -> bool:
        """Whether something is registered under this name, in whatever registry and scope."""
        return any(name in index.names for index in self.indices)

    def has_package(self, name: str) -> bool:
        """Whether there is a package of this name."""
        return bool(self.names) and name in self._modules.modules

    def scopes_above(self, registry: str, scope: str) -> tuple[str, ...]:
        """The scopes in which mmengine looks for a name that a scope of the repository's own does not have, in turn."""
        above: list[str] = []
        while self.has_package(scope) and len(above) < _MOST_SCOPES:
            parent = scope_above(scope, registry, self._files)
            if parent is None or parent in above:
                break
            above.append(parent)
            scope = parent
        return tuple(above)

    def classes(self, name: str, registry: str, scope: str) -> tuple[LocalClass, ...]:
        """What a name may mean in a registry and scope: the nearest registrations to the config.

        A file that does not tell its registry, or the scope of it, may mean any.
        """
        if name not in self._classes:
            entries = [entry for index in self.indices for entry in index.names.get(name, ())]
            self._classes[name] = tuple(map(self._resolved, entries))
        fitting = [
            place for place in self._classes[name] if place.registry in (registry, "") and place.scope in (scope, "")
        ]
        nearest = max((place.nearness for place in fitting), default=0)
        fitting = [place for place in fitting if place.nearness == nearest]
        # of two classes of one name, Python can have imported only one; the package of the scope it imports always
        own = [place for place in fitting if place.dotted is not None and place.dotted.partition(".")[0] == scope]
        return tuple({place.dotted: place for place in own or fitting}.values())

    def record(self, dotted: str) -> ClassRecord | None:
        """The class of a dotted name that stands in one of the repository's modules, or None."""
        return self._modules.record(dotted) if self.names else None

    def meaning(self, dotted: str) -> str:
        """The dotted name that a name stands for, followed through the repository's modules."""
        return self._modules.meaning(dotted) if self.names else dotted

    def _resolved(self, entry: RegisteredName) -> LocalClass:
        _, name = module_name(entry.file)
        nearness = _nearness(entry.file.parent, self._near)
        variable = VARIABLES.get(entry.variable.rpartition(".")[2], "")
        module = self._files.get(name)
        if module is None:
            return LocalClass(variable, "", None, entry.force, nearness, entry.file)
        registry, scope = registry_of(entry.variable, module, self._files) or (variable, "")
        if self._files.file_of(name) != entry.file:
            # Python imports one of two modules of one name; a library's own registers into its scope in every copy
            is_copy = scope == name.partition(".")[0]
            registry, scope = (registry, scope) if is_copy else (variable, "")
            return LocalClass(registry, scope, None, entry.force, nearness, entry.file)
        dotted = module.resolve(entry.target) or f"{name}.{entry.target}"
        takes_the_place = entry.force or dotted.partition(".")[0] == scope
        return LocalClass(registry, scope, dotted, takes_the_place, nearness, entry.file)


def seen_from(indices: Sequence[RepositoryIndex], near: Path) -> tuple[int, ...]:
    """How near each folder that registers something is to a config's: what two configs must share to see the same."""
    return tuple(_nearness(folder, near) for index in indices for folder in index.folders)


def _nearness(place: Path, near: Path | None) -> int:
    """How many folders two places have in common."""
    if near is None:
        return 0
    count = 0
    for mine, other in zip(place.parts, near.parts, strict=False):
        if mine != other:
            break
        count += 1
    return count


NONE: Final = LocalClasses()
"""Of a config whose repository registers nothing."""
