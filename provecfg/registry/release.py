"""The snapshots that come with provecfg, and which of them fits what is installed."""

from __future__ import annotations

import functools
import gzip
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provecfg.registry.classes import ClassRecord, Excerpts, ReadExcerpts
from provecfg.registry.kwargs_flow import Delegate, Flow, Target
from provecfg.registry.signatures import Parameter, parameters_from_text

FORMAT: Final = 1
"""Raised when what the files hold changes in meaning."""

DATA_DIR: Final = Path(__file__).parent / "data"

RELEASES: Final = {"onedl": "onedl-mmsegmentation", "openmmlab": "mmsegmentation"}
"""Release sets, newest first, each with the distribution whose presence tells it."""


@dataclass(frozen=True)
class Snapshot:
    """What the classes of one release set accept.

    Args:
        release: `onedl` or `openmmlab`.
        packages: Version of each distribution that it was made from.
        registered: Registry name -> scope -> type name -> dotted name of the class.
        raw: Module -> name -> row of the file, read when asked for.
    """

    release: str
    packages: dict[str, str]
    registered: dict[str, dict[str, dict[str, str]]]
    raw: dict[str, dict[str, list[Any]]]
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
    def _excerpts(self) -> dict[str, dict[str, list[Any]]]:
        try:
            text = gzip.decompress(excerpts_file(self.release).read_bytes())
        except FileNotFoundError:
            return {}
        excerpts: dict[str, dict[str, list[Any]]] = json.loads(text)
        return excerpts

    def _read_excerpts(self, module: str, name: str) -> Excerpts:
        return Excerpts(*self._excerpts.get(module, {}).get(name, ()))

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


def excerpts_file(release: str, folder: Path = DATA_DIR) -> Path:
    """Where the excerpts of a release's constructors are: module -> name -> methods, constants."""
    return folder / f"{release}_excerpts.json.gz"


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
        parameters=None if signature is None else _parameters(signature, dotted),
        flow=None if flow is None else _flow(flow),
        forward=None if forward is None else _parameters(forward, dotted),
        has_loss_name=bool(has_loss_name),
        documented=documented or {},
        read_excerpts=read_excerpts,
        own_names=None if names is None else frozenset(names),
    )


def _parameters(text: str, origin: str) -> tuple[Parameter, ...]:
    return parameters_from_text(text, origin=origin)


def _flow(row: dict[str, Any]) -> Flow:
    return Flow(
        reads=tuple(row.get("reads", ())),
        sets=tuple(row.get("sets", ())),
        targets=tuple(_target(*target) for target in row.get("to", ())),
        delegates=tuple(Delegate(name, tuple(given)) for name, given in row.get("type_in", ())),
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
    """The snapshot of a release set (`onedl`, `openmmlab`)."""
    data = json.loads((DATA_DIR / f"{release}.json").read_text(encoding="utf-8"))
    if data["format"] != FORMAT:
        raise ValueError(f"{release}.json has format {data['format']}, this provecfg reads {FORMAT}")
    return Snapshot(data["release"], data["packages"], data["registered"], data["classes"])


def installed_release(path: Iterable[str] | None = None) -> str:
    """The release set that is installed, else the newest.

    Only the names of the `*.dist-info` folders are looked at: importlib.metadata takes longer to import than the
    snapshot to load.

    Args:
        path: Folders to look in; `sys.path` unless given.
    """
    return _release_in(tuple(sys.path if path is None else path))


@functools.lru_cache(maxsize=8)
def _release_in(path: tuple[str, ...]) -> str:
    present = set()
    for folder in path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        present |= {_distribution(name) for name in names if name.endswith((".dist-info", ".egg-info"))}
    for release, distribution in RELEASES.items():
        if distribution in present:
            return release
    return next(iter(RELEASES))


def _distribution(folder: str) -> str:
    name = folder.removesuffix(".dist-info").removesuffix(".egg-info").partition("-")[0]
    return re.sub(r"[-_.]+", "-", name).lower()
