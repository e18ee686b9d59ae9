"""Which of the imported modules are of no known release: a fork of the stack, and modules of the user's."""

from __future__ import annotations

import functools
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

_PACKAGES = ("mmengine", "mmcv", "mmseg", "mmdet")
"""Of the stack. A receipt has the versions of their distributions, which say nothing of a fork."""
_OURS = "provecfg"


def forks() -> dict[str, Path]:
    """Package of the stack -> its folder, where that is none that packages are installed into, as of a fork's checkout.

    Nothing is imported.
    """
    folders = {package: _folder_of(package) for package in _PACKAGES}
    return {name: folder for name, folder in folders.items() if folder is not None and not _is_installed(folder)}


def packages_of_no_release(before: Collection[str]) -> tuple[str, ...]:
    """Top-level names of modules that no version in a receipt stands for, sorted.

    Args:
        before: The modules that were imported before any were for the config. Forks of the stack count all the same.
    """
    names = set(forks())
    for name, module in list(sys.modules.items()):
        top, file = name.partition(".")[0], getattr(module, "__file__", None)
        if name not in before and isinstance(file, str) and top != _OURS and not _is_installed(Path(file)):
            names.add(top)
    return tuple(sorted(names))


def _is_installed(path: Path) -> bool:
    """Whether it lies in Python's own library, or where packages are installed into."""
    return any(path.is_relative_to(folder) for folder in _installed_into())


@functools.cache
def _installed_into() -> tuple[Path, ...]:
    own = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(folder) for folder in (*own, *site.getsitepackages(), site.getusersitepackages()))


def _folder_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places else None
