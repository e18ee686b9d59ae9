"""Which registry a config sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from provecfg.registry.plugin_record import PLUGIN, plugin_modules
from provecfg.registry.release import installed_release, load
from provecfg.registry.tree import Registry
from provecfg.registry.user_modules import UserModules

DEFAULT_SCOPE: Final = "mmseg"
"""Where a config says none: base files leave it to the config that inherits from them."""

_FARTHEST_FOLDER = 8
"""Folders above a config in which its modules are looked for."""
_PROJECT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg")

_read: dict[tuple[tuple[str, ...], tuple[Path, ...], str], UserModules] = {}
_made: dict[tuple[int, str], Registry] = {}


class _View(Protocol):
    @property
    def path(self) -> Path: ...
    @property
    def values(self) -> Mapping[Any, Any]: ...


def registry_for(
    view: _View | Iterable[str] = (), config_path: Path | None = None, *, release: str | None = None
) -> Registry:
    """The classes that a config can name.

    Args:
        view: The config as read, or the module names of its `custom_imports`.
        config_path: The config's file, for modules beside it; a view brings its own.
        release: `onedl` or `openmmlab`; else the one that is installed, else the newest.
    """
    scope = DEFAULT_SCOPE
    if isinstance(view, Iterable):
        imports = tuple(view)
    else:
        imports = custom_imports(view.values)
        config_path = config_path or view.path
        said = view.values.get("default_scope")
        scope = str(said) if isinstance(said, str) else DEFAULT_SCOPE
    snapshot = load(release or installed_release())
    key = (imports, _folders(config_path), snapshot.release) if imports else ((), (), snapshot.release)
    user = _read.get(key)
    if imports == (PLUGIN,):
        user = plugin_modules()
    elif user is None or not user.is_fresh:
        from provecfg.registry.module_search import read_user_modules

        user = read_user_modules(key[0], key[1], snapshot.top_packages)
        _read[key] = user
    made = _made.get((id(user), scope))
    if made is None or made.user is not user:
        made = Registry(snapshot, user, scope)
        _made[(id(user), scope)] = made
    return made


def custom_imports(values: Mapping[Any, Any]) -> tuple[str, ...]:
    """The modules that a config's `custom_imports` names; what cannot be read is left to the rules."""
    said = values.get("custom_imports")
    named = said.get("imports") if isinstance(said, Mapping) else said
    if isinstance(named, str):
        return (str(named),)
    if not isinstance(named, (list, tuple)):
        return ()
    return tuple(str(name) for name in named if isinstance(name, str))


def _folders(config: Path | None) -> tuple[Path, ...]:
    """Where a config's modules may stand: beside it, above it up to its project's root, and where we are."""
    folders: list[Path] = []
    if config is not None:
        for folder in list(config.absolute().parents)[:_FARTHEST_FOLDER]:
            folders.append(folder)
            if any((folder / mark).exists() for mark in _PROJECT_MARKS):
                break
    return tuple(dict.fromkeys([*folders, Path.cwd()]))
