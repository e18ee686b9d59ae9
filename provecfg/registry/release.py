"""The snapshots that come with provecfg or were made here, and which of them fits what is installed."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provecfg import __version__
from provecfg.paths import cache_dir
from provecfg.registry.classes import ClassRecord, Excerpts, ReadExcerpts
from provecfg.registry.domains import NOTHING, Domains, read_domains
from provecfg.registry.kwargs_flow import Delegate, Flow, Target
from provecfg.registry.signatures import WrittenParameters

FORMAT: Final = 1
"""Raised when what the files hold changes in meaning."""

DATA_DIR: Final = Path(__file__).parent / "data"

RELEASES: Final = {"onedl": "onedl-mmsegmentation", "openmmlab": "mmsegmentation"}
"""Release sets, newest first, each with the distribution whose presence tells it."""

DISTRIBUTIONS: Final = {
    "onedl": ("onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation", "onedl-mmdetection"),
    "openmmlab": ("mmengine", "mmcv", "mmcv-lite", "mmsegmentation", "mmdet"),
}
"""What a snapshot of each release set is made from, beside torch."""


@dataclass(frozen=True)
class Snapshot:
    """What the classes of one release set accept.

    Args:
        release: `onedl` or `openmmlab`.
        packages: Version of each distribution that it was made from.
        registered: Registry name -> scope -> type name -> dotted name of the class.
        raw: Module -> name -> row of the file, read when asked for.
        file: Where it was read from; the excerpts are beside it.
    """

    release: str
    packages: dict[str, str]
    registered: dict[str, dict[str, dict[str, str]]]
    raw: dict[str, dict[str, list[Any]]]
    file: Path
    _records: dict[str, ClassRecord | None] = field(default_factory=dict)

    @functools.cached_property
    def _modules_of(self) -> dict[str, list[str]]:
        """Modules that define a class of each name."""
        modules: dict[str, list[str]] = {}
        for module, rows in self.raw.items():
            for name in rows:
                modules.setdefault(name, []).append(module)
        return modules

    @functools.cached_property
    def top_packages(self) -> frozenset[str]:
        """Top-level packages whose classes are known."""
        return frozenset(module.partition(".")[0] for module in self.raw)

    def record(self, dotted: str) -> ClassRecord | None:
        """The class of a dotted name, also where a package hands it on (`torch.nn.Module`)."""
        if dotted not in self._records:
            self._records[dotted] = self._find(dotted)
        return self._records[dotted]

    @functools.cached_property
    def excerpts(self) -> dict[str, dict[str, list[Any]]]:
        """What its classes refuse: module -> name -> methods, constants; nothing where that cannot be read."""
        import gzip  # what the plugin's losses and common parts hold is known without
        import zlib

        try:
            excerpts: dict[str, dict[str, list[Any]]] = json.loads(
                gzip.decompress(excerpts_file(self.file).read_bytes())
            )
        except (OSError, EOFError, ValueError, zlib.error):
            return {}
        return excerpts

    @functools.cached_property
    def domains(self) -> Domains:
        """What its classes refused when they were tried; nothing where that was another release's."""
        domains = read_domains(self.file)
        return domains if domains.packages == self.packages else NOTHING

    def _read_excerpts(self, module: str, name: str) -> Excerpts:
        return Excerpts(*self.excerpts.get(module, {}).get(name, ()))

    def _find(self, dotted: str) -> ClassRecord | None:
        module, _, name = dotted.rpartition(".")
        if name in self.raw.get(module, ()):
            return record_of(module, name, self.raw[module][name], self._read_excerpts)
        outer, _, inner = module.rpartition(".")
        if f"{inner}.{name}" in self.raw.get(outer, ()):  # a nested class, or a method
            return record_of(outer, f"{inner}.{name}", self.raw[outer][f"{inner}.{name}"], self._read_excerpts)
        within = [m for m in self._modules_of.get(name, ()) if m.startswith(f"{module}.")]
        if len(within) == 1:
            return record_of(within[0], name, self.raw[within[0]][name], self._read_excerpts)
        return None


def excerpts_file(snapshot: Path) -> Path:
    """Where the excerpts of the constructors of a snapshot's classes are: module -> name -> methods, constants."""
    return snapshot.with_name(f"{snapshot.stem}_excerpts.json.gz")


def shipped_file(release: str) -> Path:
    """The snapshot of a release set that comes with provecfg."""
    return DATA_DIR / f"{release}.json"


def made_file(release: str, versions: Mapping[str, str]) -> Path:
    """Where a snapshot that was made here is kept, in the user's cache folder.

    Args:
        release: `onedl` or `openmmlab`.
        versions: Of each distribution that it was made from.
    """
    # What a snapshot holds is provecfg's to read, and changes with it.
    parts = [f"provecfg {__version__}", *(f"{name} {version}" for name, version in sorted(versions.items()))]
    return cache_dir() / "snapshots" / f"{release}-{hashlib.sha256('; '.join(parts).encode()).hexdigest()[:16]}.json"


def record_of(module: str, name: str, row: list[Any], read_excerpts: ReadExcerpts | None = None) -> ClassRecord:
    """Row of a snapshot: bases (null for a function), signature, flow, signature of forward, has loss_name, types that
    its docstring states; of a class without excerpts, the names that its body binds.

    Args:
        module: The module.
        name: Of the class or function.
        row: The row.
        read_excerpts: Reads the excerpts of the release.
    """
    bases, signature, flow, forward, has_loss_name, documented, names = row + [None] * (7 - len(row))
    dotted = f"{module}.{name}"
    return ClassRecord(
        module=module,
        name=name,
        bases=None if bases is None else tuple(bases),
        parameters=None if signature is None else WrittenParameters(signature, dotted),
        flow=None if flow is None else _flow(flow),
        forward=None if forward is None else WrittenParameters(forward, dotted),
        has_loss_name=bool(has_loss_name),
        documented=documented or {},
        read_excerpts=read_excerpts,
        own_names=None if names is None else frozenset(names),
    )


def _flow(row: dict[str, Any]) -> Flow:
    return Flow(
        reads=tuple(row.get("reads", ())),
        sets=tuple(row.get("sets", ())),
        targets=tuple(_target(*target) for target in row.get("to", ())),
        delegates=tuple(Delegate(name, tuple(keywords)) for name, keywords in row.get("type_in", ())),
        refuses=row.get("refuses", False),
        unknown=row.get("unknown", False),
    )


def _target(callee: str, positional: int = 0, keywords: Iterable[str] = (), conditional: bool = False) -> Target:
    return Target(callee, positional, tuple(keywords), conditional)


def flow_row(flow: Flow) -> dict[str, Any]:
    """A flow as a row of a snapshot holds it."""
    row: dict[str, Any] = {}
    if flow.reads:
        row["reads"] = list(flow.reads)
    if flow.sets:
        row["sets"] = list(flow.sets)
    if flow.targets:
        row["to"] = [_target_row(target) for target in flow.targets]
    if flow.delegates:
        row["type_in"] = [[delegate.parameter, list(delegate.given)] for delegate in flow.delegates]
    if flow.refuses:
        row["refuses"] = True
    if flow.unknown:
        row["unknown"] = True
    return row


def _target_row(target: Target) -> list[Any]:
    row: list[Any] = [target.callee, target.positional, list(target.given), target.conditional]
    nothing: Any
    for nothing in (False, [], 0):
        if row[-1] != nothing:
            break
        row.pop()
    return row


@functools.cache
def load(release: str) -> Snapshot:
    """The snapshot of a release set (`onedl`, `openmmlab`) that comes with provecfg."""
    return read_snapshot(shipped_file(release))


def read_snapshot(file: Path) -> Snapshot:
    """The snapshot of a file.

    Raises:
        ValueError: It is none, or one of another format.
    """
    data = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"{file} is no snapshot of format {FORMAT}, which this provecfg reads")
    return Snapshot(data["release"], data["packages"], data["registered"], data["classes"], file)


@functools.cache
def load_installed() -> Snapshot:
    """The snapshot by which configs are judged: the one made here of what is installed, else the shipped one."""
    release = installed_release()
    try:
        return read_snapshot(made_file(release, installed_versions(release)))
    except (OSError, ValueError, KeyError):
        return load(release)


def other_versions() -> dict[str, tuple[str, str]]:
    """What is installed, but is not what configs are judged by.

    Returns:
        Distribution -> its version here, and its version in the snapshot. Of torch any version will do: few of its
        classes stand in configs, and they hardly change.
    """
    snapshot = load_installed()
    judged_by = {_own_name(name): version for name, version in snapshot.packages.items()}
    return {
        name: (version, judged_by[_own_name(name)])
        for name, version in installed_versions(snapshot.release).items()
        if name != "torch" and judged_by.get(_own_name(name), version) != version
    }


def _own_name(distribution: str) -> str:
    return distribution.removesuffix("-lite")  # mmcv without its compiled operations


def installed_versions(release: str, path: Iterable[str] | None = None) -> dict[str, str]:
    """The installed versions of what a snapshot is made from, without local parts such as `+cpu`.

    Args:
        release: `onedl` or `openmmlab`.
        path: Folders to look in; `sys.path` unless given.
    """
    installed = _distributions_in(tuple(sys.path if path is None else path))
    versions = {name: installed.get(name) for name in (*DISTRIBUTIONS[release], "torch")}
    return {name: version.partition("+")[0] for name, version in versions.items() if version}


def installed_release(path: Iterable[str] | None = None) -> str:
    """The release set that is installed, else the newest.

    Args:
        path: Folders to look in; `sys.path` unless given.
    """
    present = _distributions_in(tuple(sys.path if path is None else path))
    return next(
        (release for release, distribution in RELEASES.items() if distribution in present), next(iter(RELEASES))
    )


@functools.lru_cache(maxsize=8)
def _distributions_in(path: tuple[str, ...]) -> dict[str, str]:
    """Distribution -> version, as the names of the `*.dist-info` folders have it.

    importlib.metadata takes longer to import than a snapshot to load.
    """
    present: dict[str, str] = {}
    for folder in path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                distribution, _, version = name.removesuffix(".dist-info").removesuffix(".egg-info").partition("-")
                # the first one on the path is the one that is imported
                present.setdefault(re.sub(r"[-_.]+", "-", distribution).lower(), version.partition("-")[0])
    return present
