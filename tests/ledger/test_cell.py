from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.ledger.cell import Cell, cell_of, copy_files, files_to_copy, refuse_equal_cells
from provecfg.mmconfig import read_config

CONFIG = Path(__file__).parents[2] / "generated" / "pspnet_r50_bdd10k_focal.py"


def cell_at(path: Path, study_dir: Path, **options: object) -> Cell:
    return cell_of(read_config(path), study_dir, options)


def copied(tmp_path: Path, folder: str = "one", text: str | None = None) -> Path:
    (tmp_path / folder).mkdir(exist_ok=True)
    path = tmp_path / folder / CONFIG.name
    path.write_text(CONFIG.read_text() if text is None else text)
    return path


def test_an_id_depends_on_what_is_trained_and_on_no_path(tmp_path: Path) -> None:
    text = CONFIG.read_text()
    here = cell_at(copied(tmp_path), tmp_path / "study")
    moved = text.replace("{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}", "/mnt/bdd100k")
    elsewhere = copied(tmp_path, "two", f"{moved}\n# a remark\n")
    assert "/mnt/bdd100k" in elsewhere.read_text()
    assert cell_at(elsewhere, tmp_path / "other").id == here.id
    assert cell_at(copied(tmp_path, "three", text.replace("lr=0.01", "lr=0.02")), tmp_path / "study").id != here.id
    assert cell_at(copied(tmp_path), tmp_path / "study", max_iters=10).id != here.id
    assert (here.name, here.model, here.loss, here.recipe) == (CONFIG.stem, "pspnet_r50", "focal", "baseline")


def test_a_config_is_copied_with_its_bases_and_the_modules_beside_it(tmp_path: Path) -> None:
    base = copied(tmp_path)
    (tmp_path / "children").mkdir()
    child = tmp_path / "children" / "child.py"
    child.write_text(
        f"_base_ = '../one/{base.name}'\n"
        "custom_imports = dict(imports=['provecfg.plugin', 'mine'], allow_failed_imports=False)\n"
    )
    module = b"# coding: latin-1\nname = '\xe9'\n"
    (tmp_path / "children" / "mine.py").write_bytes(module)
    study = tmp_path / "study"
    view = read_config(child)
    cell = cell_at(child, study)
    copy_files(files_to_copy(view), cell, study)
    shutil.rmtree(tmp_path / "one")
    copy = study / cell.config
    assert read_config(copy).values == view.values
    assert (copy.parent / "mine.py").read_bytes() == module


def test_a_cell_is_stale_once_its_config_trains_something_else(tmp_path: Path) -> None:
    path = copied(tmp_path)
    cell = cell_at(path, tmp_path / "study")
    (tmp_path / "study").mkdir()
    assert not cell.is_stale(tmp_path / "study", {})
    path.write_text(CONFIG.read_text() + "\n# a remark\n")
    assert not cell.is_stale(tmp_path / "study", {})
    path.write_text(CONFIG.read_text().replace("lr=0.01", "lr=0.02"))
    assert cell.is_stale(tmp_path / "study", {})
    path.unlink()
    assert not cell.is_stale(tmp_path / "study", {})


def test_a_study_that_would_train_the_same_twice_is_refused(tmp_path: Path) -> None:
    first, second = (cell_at(copied(tmp_path, folder), tmp_path / "study") for folder in ("one", "two"))
    with pytest.raises(ProvecfgError, match=r"one/pspnet.* and .*two/pspnet.* have one name and train the same"):
        refuse_equal_cells([first, second])


def test_the_fingerprint_of_its_data_is_part_of_what_a_cell_trains(tmp_path: Path) -> None:
    path = copied(tmp_path)
    bare = cell_at(path, tmp_path / "study")
    fingerprint = path.with_name("bdd10k.fingerprint.json")
    fingerprint.write_text('{"format": 1, "splits": {}, "digest": "00aa"}')
    cell, study = cell_at(path, tmp_path / "study"), tmp_path / "study"
    assert cell.id != bare.id
    copy_files(files_to_copy(read_config(path)), cell, study)
    assert (study / cell.config).with_name(fingerprint.name).read_text() == fingerprint.read_text()
    assert cell_at(study / cell.config, study).id == cell.id
    assert not cell.is_stale(study, {})
    fingerprint.write_text('{"format": 1, "splits": {}, "digest": "11bb"}')
    assert cell.is_stale(study, {})
