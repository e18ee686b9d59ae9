"""What is looked at once, at submission: every config's findings, and a proof of each kind of cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from provecfg.errors import ProvecfgError
from provecfg.findings.pipeline import Judgement
from provecfg.ledger.cell import Cell, cell_of, copy_config
from provecfg.mmconfig import ConfigView, read_config
from provecfg.parallel import map_in_processes
from provecfg.training.fingerprint import digests_of
from provecfg.training.record import versions
from provecfg.training.work_dir import work_dir_of
from provecfg.validate import judgement_of_view


@dataclass(frozen=True, slots=True)
class Examination:
    """A config as submission sees it.

    Args:
        path: The config.
        judgement: Its findings.
        cell: What it is in the study.
        is_proved: Whether a receipt in its work dir speaks for it as it is now.
    """

    path: Path
    judgement: Judgement
    cell: Cell
    is_proved: bool

    @property
    def kind(self) -> tuple[str, ...]:
        """Cells of one kind are proved by one of them."""
        cell = self.cell
        return (cell.model, cell.loss, cell.recipe) if cell.model else (cell.digest,)


def examined(
    configs: Sequence[Path], study_dir: Path, options: Mapping[str, Any], cfg_options: Sequence[tuple[str, Any]]
) -> list[Examination]:
    """Look at every config, several at once. Nothing is executed or written.

    Args:
        configs: Absolute.
        study_dir: The study's folder.
        options: See `ledger.cell.digest_of_view`.
        cfg_options: Dotted paths and values to merge into each.
    """
    return map_in_processes(partial(_examined, study_dir=study_dir, options=options, cfg_options=cfg_options), configs)


def kinds_without_proof(examinations: Sequence[Examination]) -> list[Path]:
    """One config of each kind of cells of which none has a receipt that speaks for it."""
    proved = {examination.kind for examination in examinations if examination.is_proved}
    first = {examination.kind: examination.path for examination in reversed(examinations)}
    return sorted(path for kind, path in first.items() if kind not in proved)


def copy_configs(examinations: Sequence[Examination], study_dir: Path) -> None:
    """Copy every config into the study's folder, several at once."""
    map_in_processes(partial(_copy, study_dir=study_dir), examinations)


def _copy(examination: Examination, study_dir: Path) -> None:
    copy_config(read_config(examination.path), examination.cell, study_dir)


def _examined(
    path: Path, study_dir: Path, options: Mapping[str, Any], cfg_options: Sequence[tuple[str, Any]]
) -> Examination:
    view = read_config(path, cfg_options=cfg_options)
    cell = cell_of(read_config(path) if cfg_options else view, study_dir, options)
    return Examination(path, judgement_of_view(view), cell, _is_proved(view))


def _is_proved(view: ConfigView) -> bool:
    """Whether the receipt in the config's work dir is of the config, the code and the packages as they are now."""
    from provecfg.proof.receipt import PROVED, read_receipt, receipt_path

    try:
        receipt = read_receipt(receipt_path(work_dir_of(view.path, view.values), view.path.stem))
    except ProvecfgError:
        return False
    if receipt is None or receipt.verdict != PROVED or receipt.digests != digests_of(view.values):
        return False
    imports = (view.values.get("custom_imports") or {}).get("imports") or []
    names = (imports,) if isinstance(imports, str) else tuple(imports)
    return receipt.code == _code_of(names, view.path.parent) and receipt.versions == _versions()


@cache
def _code_of(imports: tuple[str, ...], folder: Path) -> Mapping[str, str]:
    from provecfg.proof.receipt import code_of

    return code_of({"custom_imports": {"imports": list(imports)}}, folder)


@cache
def _versions() -> Mapping[str, str]:
    return versions()
