"""Where the bases of a config are: beside it, in the `.mim` folder of an installed package, or in our own archive."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

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
_EXTERNAL = re.compile(r"\w*::\w*/\w*")


@dataclass(frozen=True, slots=True, eq=False)
class Base:
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
        return Base(name, position, Path(os.path.abspath(os.path.join(file.parent, name))), None)
    if _EXTERNAL.match(name) is None or name.count("::") > 1:
        raise UnreadableError(
            NOT_A_CONFIG,
            f"{name!r} is not a base of another package",
            hint="write it as 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'",
        )
    package, _, path = name.partition("::")
    if package not in _PACKAGES:
        raise UnreadableError(MISSING_BASE, f"mmengine takes no configs from a package {package!r}")
    return Base(name, position, Path(os.path.abspath(_configs_folder(package) / path)), package)


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
    return _package_folder(steps[0]).joinpath(*steps[1:-1], f"{steps[-1]}.py")


def _configs_folder(package: str) -> Path:
    """Where the configs of a package are: the installed ones, since those are what mmengine would load."""
    try:
        return _package_folder(package) / ".mim" / "configs"
    except UnreadableError:
        if package == PACKAGE:
            return FOLDER
        raise


def _package_folder(package: str) -> Path:
    """Where a top-level package is installed. Finding it imports nothing."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise UnreadableError(
            MISSING_BASE, f"the package {package!r} is not installed", hint=f"install {package}, or copy the base"
        )
    return Path(spec.origin).parent
