"""Where the bases of a config are: beside it, in the `.mim` folder of an installed package, or in our own archive."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from pathlib import Path
from typing import NamedTuple

from provecfg.files import read_text
from provecfg.mmconfig.files import UnreadableError
from provecfg.mmconfig.problems import MISSING_BASE, NOT_A_CONFIG
from provecfg.mmconfig.shipped_bases import FOLDER, PACKAGE
from provecfg.mmconfig.source import Position

# mmengine config/utils.py, MODULE2PACKAGE: the packages that `package::path` may name.
_PACKAGES_LISTED = """
    mmcls mmdet mmdet3d mmseg mmaction mmtrack mmpose mmedit mmocr mmgen mmfewshot mmrazor mmflow mmhuman3d mmrotate
    mmselfsup mmyolo mmpretrain mmagic
"""
_PACKAGES = frozenset(_PACKAGES_LISTED.split())
_TABLE_OF_PACKAGES = "MODULE2PACKAGE"
_EXTERNAL = re.compile(r"\w*::\w*/\w*")
_FOLDERS_ABOVE = 12


class Base(NamedTuple):
    """A base that a file names in `_base_`.

    Args:
        name: As written.
        position: Where.
        path: Absolute.
        scope: The package, of `package::path`.
    """

    name: str
    position: Position | None
    path: Path
    scope: str | None


def classic_base(name: str, position: Position | None, file: Path) -> Base:
    """The base that `file` names in `_base_` at `position`.

    Raises:
        UnreadableError: The name is of no form that mmengine takes, or its package is not installed.
    """
    if "::" not in name:
        return Base(name, position, _path(os.path.abspath(os.path.join(os.path.dirname(file), name))), None)
    if _EXTERNAL.match(name) is None or name.count("::") > 1:
        raise UnreadableError(
            NOT_A_CONFIG,
            f"{name!r} is not a base of another package",
            hint="write it as 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'",
        )
    package, _, path = name.partition("::")
    if package not in _PACKAGES:
        own = _own_configs_folder(package, file)
        if own is None:
            raise UnreadableError(MISSING_BASE, f"mmengine takes no configs from a package {package!r}")
        return Base(name, position, Path(os.path.abspath(own / path)), package)
    return Base(name, position, Path(os.path.abspath(_configs_folder(package) / path)), package)


@functools.lru_cache(maxsize=4096)
def _path(text: str) -> Path:
    """One path for all who name a base: it keeps its parts and its hash."""
    return Path(text)


def read_base_module(module: str, level: int, file: Path) -> Path:
    """The path of a base that `file` imports in `with read_base():`.

    Args:
        module: Dotted, without its leading dots.
        level: The number of leading dots.
        file: The importing file.

    Raises:
        UnreadableError: An absolute module's package is not installed.
    """
    steps = module.split(".")
    if level:
        folder = file.parent.joinpath(*[".."] * (level - 1))
        return Path(os.path.abspath(folder.joinpath(*steps[:-1], f"{steps[-1]}.py")))
    if len(steps) == 1:
        raise UnreadableError(MISSING_BASE, f"the base {module!r} is a package, not a config in one")
    return _package_folder(steps[0], file).joinpath(*steps[1:-1], f"{steps[-1]}.py")


def _configs_folder(package: str) -> Path:
    """Where the configs of a package are: the installed ones, since those are what mmengine would load."""
    try:
        return _linked_configs(_package_folder(package))
    except UnreadableError:
        if package == PACKAGE:
            return FOLDER
        raise


def _linked_configs(package: Path) -> Path:
    """The folder of configs in a package; of a checkout that was not installed, what installing it links there."""
    linked, beside = package / ".mim" / "configs", package.parent / "configs"
    return linked if linked.is_dir() or not beside.is_dir() else beside


def _own_configs_folder(package: str, file: Path) -> Path | None:
    """Where the configs of a package of the user's are, which lies beside or above the config.

    mmengine takes them where the package enters itself in mmengine's table when it is imported.
    """
    for folder in list(file.parents)[:_FOLDERS_ABOVE]:
        source = folder / package / "__init__.py"
        if os.path.isfile(source):  # pathlib's raises where a name is too long, or the folder another's
            try:
                enters_itself = _TABLE_OF_PACKAGES in read_text(source, errors="replace")
            except OSError:
                enters_itself = False
            return _linked_configs(folder / package) if enters_itself else None
    return None


def _package_folder(package: str, file: Path | None = None) -> Path:
    """Where a top-level package is installed, or, of one that is not, where it stands around the file that names it: in
    the checkout that training is started from. Finding it imports nothing.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        for folder in list(file.parents)[:_FOLDERS_ABOVE] if file is not None else ():
            if os.path.isfile(folder / package / "__init__.py"):
                return folder / package
        raise UnreadableError(
            MISSING_BASE, f"the package {package!r} is not installed", hint=f"install {package}, or copy the base"
        )
    return Path(spec.origin).parent
