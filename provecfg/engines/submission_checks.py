"""What is looked at once, at submission: every config's findings, and a proof of each kind of cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from provecfg.errors import ProvecfgError
from provecfg.files import read_text
from provecfg.findings.pipeline import Judgement
from provecfg.header import is_untouched
from provecfg.ledger.cell import Cell, absent_for_training, cell_of, copy_files, files_to_copy
from provecfg.mmconfig import ConfigDict, ConfigView, Layer, read_config
from provecfg.mmconfig.source import SourceFile
from provecfg.parallel import map_in_processes
from provecfg.registry.lookup import custom_imports
from provecfg.training.fingerprint import digests_of, fingerprint_of
from provecfg.training.record import versions
from provecfg.training.work_dir import work_dir_of
from provecfg.validate import judgement_of_view

_OF_ITS_SEED: Final = re.compile(
    r"^(?:# Cell: |# provecfg checksum: |randomness = dict\(seed=|work_dir = ).*\n", re.MULTILINE
)
"""Lines that tell a generated config from that of another seed of its cell."""


@dataclass(frozen=True, slots=True)
class Examination:
    """A config as submission sees it.

    Args:
        path: The config.
        judgement: Its findings.
        absent: Keys that it lacks for training, see `ledger.cell.absent_for_training`.
        cell: What it is in the study.
        files: What the study's folder gets a copy of, see `ledger.cell.files_to_copy`.
    """

    path: Path
    judgement: Judgement
    absent: tuple[str, ...]
    cell: Cell
    files: Mapping[str, Path]

    @property
    def kind(self) -> tuple[str, ...]:
        """Cells of one kind are proved by one of them."""
        cell = self.cell
        return (cell.model, cell.loss, cell.recipe) if cell.model else (cell.digest,)


def examined(
    configs: Sequence[Path], study_dir: Path, options: Mapping[str, Any], cfg_options: Sequence[tuple[str, Any]]
) -> list[Examination]:
    """Look at every config, several at once. Nothing is executed or written.

    Of generated configs that nobody has edited, and that differ in nothing but their seed, one is read whole and
    judged, as of a study; of the others only what the seed makes of them is read. Where anything is found in that one,
    all are read and judged.

    Args:
        configs: Absolute.
        study_dir: The study's folder.
        options: See `ledger.cell.digest_of_view`.
        cfg_options: Dotted paths and values to merge into each.
    """
    fields: dict[str, Any] = {"study_dir": study_dir, "options": options, "cfg_options": cfg_options}
    twins: dict[tuple[Path, str | None], list[Path]] = {}
    for path in configs:
        twins.setdefault(_twins_key(path), []).append(path)
    of_twins = map_in_processes(partial(_examined_twins, **fields), list(twins.values()))
    examinations = {examination.path: examination for each in of_twins for examination in each}
    others = [path for path in configs if path not in examinations]
    examinations.update(zip(others, map_in_processes(partial(_examined, **fields), others), strict=True))
    return [examinations[path] for path in configs]


def kinds_without_proof(examinations: Sequence[Examination], cfg_options: Sequence[tuple[str, Any]] = ()) -> list[Path]:
    """One config of each kind of cells of which none has a receipt that speaks for it.

    Args:
        examinations: Of the study.
        cfg_options: Dotted paths and values to merge into each config.
    """
    kinds: dict[tuple[str, ...], list[Path]] = {}
    for examination in examinations:
        kinds.setdefault(examination.kind, []).append(examination.path)
    are_proved = map_in_processes(partial(_is_one_proved, cfg_options=cfg_options), list(kinds.values()))
    return sorted(paths[0] for paths, is_proved in zip(kinds.values(), are_proved, strict=True) if not is_proved)


def copy_configs(examinations: Sequence[Examination], study_dir: Path) -> None:
    """Copy every config into the study's folder, several at once."""
    map_in_processes(partial(_copy, study_dir=study_dir), examinations)


def _copy(examination: Examination, study_dir: Path) -> None:
    copy_files(examination.files, examination.cell, study_dir)


def _twins_key(path: Path) -> tuple[Path, str | None]:
    """What twins share: their folder, whose modules they import, and their text without what the seed makes of it.

    A config that was not generated, or that somebody has edited, has none but itself.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError):  # for the reader to report
        return path, None
    return (path.parent, _OF_ITS_SEED.sub("", text)) if is_untouched(text) else (path, None)


def _examined(
    path: Path, study_dir: Path, options: Mapping[str, Any], cfg_options: Sequence[tuple[str, Any]]
) -> Examination:
    view = read_config(path)
    changed = read_config(path, cfg_options=cfg_options) if cfg_options else view
    judgement, absent = judgement_of_view(changed), absent_for_training(changed)
    return Examination(path, judgement, absent, cell_of(view, study_dir, options), files_to_copy(view))


def _examined_twins(
    paths: Sequence[Path], study_dir: Path, options: Mapping[str, Any], cfg_options: Sequence[tuple[str, Any]]
) -> list[Examination]:
    """The first of twins and, where nothing is found in it, the others."""
    examinations = [_examined(paths[0], study_dir, options, cfg_options)]
    if examinations[0].judgement.findings or examinations[0].absent or len(paths) == 1:
        return examinations
    first = read_config(paths[0])
    fingerprint = fingerprint_of(first.values)
    for path in paths[1:]:
        text = read_text(path)
        own = read_config(path, text="".join(match[0] for match in _OF_ITS_SEED.finditer(text))).values
        values = ConfigDict({**first.values, **own})
        view = ConfigView(path, values, (), (Layer(SourceFile(path, text, text), values),))
        own_digests = {key: digest for key, digest in digests_of(own).items() if key in fingerprint}
        cell = cell_of(view, study_dir, options, {**fingerprint, **own_digests})
        examinations.append(Examination(path, Judgement(path, (), {path: text}), (), cell, files_to_copy(view)))
    return examinations


def _is_one_proved(configs: Sequence[Path], cfg_options: Sequence[tuple[str, Any]]) -> bool:
    return any(_is_proved(read_config(path, cfg_options=cfg_options)) for path in configs)


def _is_proved(view: ConfigView) -> bool:
    """Whether the receipt in the config's work dir is of the config, the code and the packages as they are now."""
    from provecfg.proof.receipt import PROVED, read_receipt, receipt_path

    try:
        receipt = read_receipt(receipt_path(work_dir_of(view.path, view.values), view.path))
    except ProvecfgError:
        return False
    if receipt is None or receipt.verdict != PROVED or receipt.digests != digests_of(view.values):
        return False
    names = custom_imports(view.values)
    # Of packages of no known release, too, which the receipt names.
    packages = tuple(sorted({*receipt.code, *_forks()} - set(names)))
    return receipt.code == _code_of(names, packages, view.path.parent) and receipt.versions == _versions()


@cache
def _code_of(imports: tuple[str, ...], packages: tuple[str, ...], folder: Path) -> Mapping[str, str]:
    from provecfg.proof.receipt import code_of

    return code_of({"custom_imports": {"imports": list(imports)}}, folder, packages)


@cache
def _forks() -> frozenset[str]:
    from provecfg.proof.releases import forks

    return frozenset(forks())


@cache
def _versions() -> Mapping[str, str]:
    return versions()
