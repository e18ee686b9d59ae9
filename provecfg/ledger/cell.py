"""A cell of a submitted study: what it is called, what it trains, and its config as it was at submission."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provecfg.data.recorded_fingerprint import recorded_digest, recorded_fingerprint
from provecfg.digest import digest_of
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.files import read_bytes
from provecfg.mmconfig import ConfigView, read_config
from provecfg.registry.layout import KEYS_OF_TRAINING
from provecfg.registry.lookup import custom_imports
from provecfg.training.fingerprint import fingerprint_of

CONFIGS: Final = "configs"
"""Folder of the study: the configs as they were at submission, one folder a cell."""
CELLS: Final = "cells"
"""Folder of the study: the work dirs."""

_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a submitted study. Every path is relative to the study's folder.

    Args:
        id: Name and the first digits of the digest.
        name: Of the config.
        digest: Of what it trains; paths are no part of it.
        config: Its copy.
        source: What was copied.
        sources: File that the source was read from, itself and its data's fingerprint included -> SHA-256 of its text.
        model, loss, recipe: What a proof of one speaks for: cells that agree in them. '' where no header says so.
    """

    id: str
    name: str
    digest: str
    config: str
    source: str
    sources: Mapping[str, str]
    model: str = ""
    loss: str = ""
    recipe: str = ""

    @property
    def work_dir(self) -> str:
        """Where it trains."""
        return f"{CELLS}/{self.id}"

    def is_stale(self, study_dir: Path, options: Mapping[str, Any]) -> bool:
        """Whether the config that was copied trains something else by now. One that is gone says nothing.

        Args:
            study_dir: The study's folder.
            options: See `digest_of_view`.
        """
        source = study_dir / self.source
        if not source.is_file():
            return False
        if all(_sha256(study_dir / file) == digest for file, digest in self.sources.items()):
            return False
        return digest_of_view(read_config(source), options) != self.digest


def digest_of_view(view: ConfigView, options: Mapping[str, Any], fingerprint: Mapping[str, str] | None = None) -> str:
    """Digest of what a config trains when it is run with options, its data's fingerprint included where it has one.

    Args:
        view: The config.
        options: Those options of the run that change what is trained.
        fingerprint: Of the config, see `training.fingerprint.fingerprint_of`; computed if None.
    """
    fingerprint = fingerprint_of(view.values) if fingerprint is None else fingerprint
    data = None if options.get("smoke") else recorded_digest(_data_fingerprint(view))
    return digest_of([fingerprint if data is None else {**fingerprint, "data": data}, options])


def cell_of(
    view: ConfigView, study_dir: Path, options: Mapping[str, Any], fingerprint: Mapping[str, str] | None = None
) -> Cell:
    """The cell that a config is in a study's folder. Nothing is written.

    Args:
        view: The config.
        study_dir: The study's folder.
        options, fingerprint: See `digest_of_view`.
    """
    from provecfg.header import Header

    digest = digest_of_view(view, options, fingerprint)
    identity = f"{view.path.stem}-{digest[:_DIGITS]}"
    header = Header.of(view.sources(view.path))
    coordinates = header.cell if header is not None else None
    return Cell(
        id=identity,
        name=view.path.stem,
        digest=digest,
        config=str(Path(CONFIGS, identity, view.path.relative_to(_root_of(view)))),
        source=os.path.relpath(view.path, study_dir),
        sources={
            os.path.relpath(file, study_dir): _sha256(file)
            for file in filter(None, (*view.files, _data_fingerprint(view)))
        },
        model=coordinates.model if coordinates else "",
        loss=coordinates.loss if coordinates else "",
        recipe=coordinates.strategy if coordinates else "",
    )


def absent_for_training(view: ConfigView) -> tuple[str, ...]:
    """The top-level keys that training needs and a config does not set; none where not all that it sets is known."""
    if view.problems:
        return ()
    return tuple(key for key in KEYS_OF_TRAINING if view.values.get(key) is None)


def refuse_equal_cells(cells: Iterable[Cell]) -> None:
    """Refuse a study that would train the same twice.

    Raises:
        ProvecfgError: Two cells have one id.
    """
    by_id: dict[str, Cell] = {}
    for cell in cells:
        other = by_id.setdefault(cell.id, cell)
        if other is not cell:
            raise ProvecfgError(
                f"{other.source} and {cell.source} have one name and train the same", exit_code=ExitCode.USAGE
            )


def files_to_copy(view: ConfigView) -> dict[str, Path]:
    """Path from the folder of a cell's copy -> what is copied there: its config, its bases, the modules beside it, and
    the fingerprint of its data.

    A base that an installed package brings stays where it is.
    """
    root, data = _root_of(view), _data_fingerprint(view)
    files = {str(file.relative_to(root)): file for file in (*_own_files(view), *_modules_beside(view))}
    if data is not None:  # a run looks for it beside the config
        files[str(view.path.parent.relative_to(root) / data.name)] = data
    return files


def copy_files(files: Mapping[str, Path], cell: Cell, study_dir: Path) -> None:
    """Copy a cell's files, see `files_to_copy`, into the study's folder.

    Before the study itself is written nobody reads them, so what was cut short is copied again.

    Raises:
        ProvecfgError: One cannot be read or written.
    """
    for place, file in files.items():
        copy = study_dir / CONFIGS / cell.id / place
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(read_bytes(file))
        except OSError as error:
            raise ProvecfgError(f"cannot copy {file} to {copy}: {error.strerror or error}") from error


def _data_fingerprint(view: ConfigView) -> Path | None:
    return recorded_fingerprint(view.path, view.sources(view.path))


def _own_files(view: ConfigView) -> list[Path]:
    return [file for file in view.files if not _is_installed(file)]


def _root_of(view: ConfigView) -> Path:
    return Path(os.path.commonpath([file.parent for file in (view.path, *_own_files(view))]))


def _is_installed(file: Path) -> bool:
    return "site-packages" in file.parts or file.is_relative_to(sys.prefix)


def _modules_beside(view: ConfigView) -> list[Path]:
    """Modules that the config imports and that lie beside it, where a run looks for them."""
    files: list[Path] = []
    for name in custom_imports(view.values):
        beside = view.path.parent / name.split(".")[0]
        files += [module] if (module := beside.with_suffix(".py")).is_file() else sorted(beside.rglob("*.py"))
    return files


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(file)).hexdigest()
    except OSError:
        return ""
