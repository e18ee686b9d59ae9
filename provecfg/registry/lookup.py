"""Which registry a config sees."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from provecfg.errors import ProvecfgError
from provecfg.findings.settings import settings_for
from provecfg.registry.local_classes import NONE, LocalClasses, seen_from
from provecfg.registry.plugin_record import PLUGIN, plugin_modules
from provecfg.registry.release import load, load_installed
from provecfg.registry.repository import FARTHEST_FOLDER, FRESH_FOR_S, RepositoryIndex, index_of, project_of
from provecfg.registry.tree import ROOT_SCOPE, Registry
from provecfg.registry.user_modules import UserModules
from provecfg.spelling import is_misspelling

DEFAULT_SCOPE: Final = "mmseg"
"""Where a config says none: base files leave it to the config that inherits from them."""

NO_SCOPE: Final = ""
"""Of a config that says none and of which a part shows that it is not of that scope."""

_read: dict[tuple[tuple[str, ...], tuple[Path, ...], Path], UserModules] = {}
_made: dict[tuple[Path, int, int, str], Registry] = {}
_seen: dict[tuple[Path, Path], tuple[float, LocalClasses]] = {}
_local: dict[tuple[tuple[RepositoryIndex, ...], tuple[int, ...]], LocalClasses] = {}


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
        release: `onedl` or `openmmlab`, as provecfg has it; else what is installed, else the newest.
    """
    scope: str | None = DEFAULT_SCOPE
    values: Mapping[Any, Any] = {}
    if isinstance(view, Iterable):
        imports = tuple(view)
    else:
        values = view.values
        imports = custom_imports(values)
        config_path = config_path or view.path
        default_scope = values.get("default_scope")
        scope = str(default_scope) if isinstance(default_scope, str) else None
    snapshot = load(release) if release else load_installed()
    key = (imports, _folders(config_path), snapshot.file) if imports else ((), (), snapshot.file)
    user = _read.get(key)
    if imports == (PLUGIN,):
        user = plugin_modules()
    elif user is None or not user.is_fresh:
        from provecfg.registry.module_search import read_user_modules

        user = read_user_modules(key[0], key[1], snapshot.top_packages)
        _read[key] = user
    local = _local_classes(config_path)

    def registry_of_scope(scope: str) -> Registry:
        made = _made.get((snapshot.file, id(user), id(local), scope))
        if made is None or made.user is not user or made.local is not local:
            made = _made[(snapshot.file, id(user), id(local), scope)] = Registry(snapshot, user, scope, local)
        return made

    if scope is not None:
        return registry_of_scope(scope)
    registry = registry_of_scope(DEFAULT_SCOPE)
    return registry_of_scope(NO_SCOPE) if _is_of_another_scope(registry, values) else registry


def _is_of_another_scope(registry: Registry, values: Mapping[Any, Any]) -> bool:
    """Whether a config without scope is none of a registry's: by its model, else by a dataset and what packs for it."""
    if registry.local.has_package(ROOT_SCOPE):
        return True  # the repository has a mmengine of its own, whose runner and hooks are not the release's
    model = values.get("model")
    if isinstance(model, Mapping) and isinstance(model.get("type"), str):
        return not _may_be_of(registry, model["type"], "model")
    loader = values.get("train_dataloader")
    dataset = loader.get("dataset") if isinstance(loader, Mapping) and model is None else None
    if not isinstance(dataset, Mapping) or not isinstance(dataset.get("type"), str):
        return False
    pipeline = dataset.get("pipeline")
    last = pipeline[-1] if isinstance(pipeline, list) and pipeline else None
    packs = last.get("type") if isinstance(last, Mapping) else None
    return (
        isinstance(packs, str)
        and not _may_be_of(registry, dataset["type"], "dataset")
        and not _may_be_of(registry, packs, "transform")
    )


def _may_be_of(registry: Registry, name: str, kind: str) -> bool:
    """Whether a name that a config without scope has is one of a registry's, rightly spelt or not."""
    name = str(name)
    return (
        registry.find(name, kind) is not None
        or bool(registry.local.classes(name, kind, registry.default_scope))
        or any(is_misspelling(name, near) for near in registry.nearest(name, kind))
    )


def _local_classes(config: Path | None) -> LocalClasses:
    """What the config's repository, and the packages of its settings, register."""
    if config is None:
        return NONE
    key = (config.absolute().parent, Path.cwd())
    known = _seen.get(key)
    if known is None or time.monotonic() - known[0] > FRESH_FOR_S or not known[1].is_fresh:
        known = _seen[key] = (time.monotonic(), _classes_around(config))
    return known[1]


def _classes_around(config: Path) -> LocalClasses:
    project = project_of(config, Path.cwd())
    indices = [index_of(folder, is_marked=project.is_marked) for folder in project.folders]
    settings = settings_for(config)
    for name in settings.packages:
        indices.append(index_of(_package(name, settings.file, _folders(config))))
    if not any(index.names or index.is_of_mmcv_1 or not index.is_complete for index in indices):
        return NONE
    near = config.absolute().parent
    key = (tuple(indices), seen_from(indices, near))
    local = _local.get(key)
    if local is None or not local.is_fresh:
        local = _local[key] = LocalClasses(indices, near)
    return local


def _package(name: str, settings: Path | None, folders: tuple[Path, ...]) -> Path:
    """The folder or module that an entry of the settings' `packages` means.

    Raises:
        ProvecfgError: There is none.
    """
    from provecfg.registry.module_search import place_of

    place = settings.parent / name if settings is not None else Path(name)
    folder = place if place.is_dir() else place_of(name, folders)
    if folder is None:
        raise ProvecfgError(
            f"{settings}: [tool.provecfg] packages: {name!r} is neither a folder nor a package",
            hint="name a package that Python finds, or a folder relative to this file",
        )
    return folder


def custom_imports(values: Mapping[Any, Any]) -> tuple[str, ...]:
    """The modules that a config's `custom_imports` names; what cannot be read is left to the rules."""
    declared = values.get("custom_imports")
    named = declared.get("imports") if isinstance(declared, Mapping) else declared
    if isinstance(named, str):
        return (str(named),)
    if not isinstance(named, (list, tuple)):
        return ()
    return tuple(str(name) for name in named if isinstance(name, str))


def _folders(config: Path | None) -> tuple[Path, ...]:
    """Where a config's modules may stand: beside it, above it up to its project's root, and where we are."""
    here = Path.cwd()
    if config is None:
        return (here,)
    outermost = min(project_of(config, here).folders, key=lambda folder: len(folder.parts), default=config.parent)
    folders: list[Path] = []
    for folder in list(config.absolute().parents)[:FARTHEST_FOLDER]:
        folders.append(folder)
        if folder == outermost:
            break
    return tuple(dict.fromkeys([*folders, here]))
