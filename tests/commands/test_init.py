from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from provecfg.study.json_schema import study_schema
from provecfg.study.load import read_study
from tests.data.small_sets import save, write_set

pytestmark = pytest.mark.stack

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def streets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small right set, in a folder that the command is called from."""
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "provecfg-home"))
    monkeypatch.chdir(tmp_path)
    return write_set(Path("streets"), "clean")


def test_a_folder_becomes_a_study_with_its_evidence(provecfg: Command, streets: Path) -> None:
    code, out, err = provecfg("init", streets)
    assert code == 0
    assert all(line.startswith("note: ") for line in out.splitlines())
    assert (
        err == "wrote study.yaml, streets.fingerprint.json, study.schema.json, streets.contact-sheet.jpg; "
        "look at the contact sheet first\n"
    )
    study, findings = read_study(Path("study.yaml"))
    assert study is not None, findings
    dataset = study.resolved_datasets["streets"]
    assert (dataset.train.images, dataset.train.labels) == ("images/train/*.jpg", "labels/train/*.png")
    assert (dataset.root, dataset.resize_scale, study.data.crop_size) == ("streets", (96, 54), (32, 32))
    text = Path("study.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=study.schema.json\n")
    assert json.loads(Path("study.schema.json").read_text()) == study_schema()
    assert "# 6 images" in text
    assert "# 9 of 9 images are 96x54, width first" in text
    with Image.open("streets.contact-sheet.jpg") as sheet:
        assert sheet.width > 1000


def test_a_study_of_a_folder_is_generated(provecfg: Command, streets: Path) -> None:
    provecfg("init", streets)
    code, _, _ = provecfg("generate", "study.yaml", "--model", "pspnet_r50", "--aux-loss", "none")
    assert code == 0
    assert provecfg("validate", "generated/pspnet_r50_streets_ce.py")[0] == 0


def test_the_fingerprint_counts_every_label_map(provecfg: Command, streets: Path) -> None:
    provecfg("init", streets)
    fingerprint = json.loads(Path("streets.fingerprint.json").read_text())
    train = fingerprint["splits"]["train"]
    assert (train["images"], train["sizes"]) == (6, {"96x54": 6})
    assert sum(value["pixels"] for value in train["values"].values()) == 6 * 96 * 54
    labels = np.array(Image.open(streets / "labels/train/street-0-0.png"))
    assert train["values"]["17"] == {
        "class": "motorcycle", "share": round(24 / 5184, 6), "pixels": 6 * 24, "label_maps": 6,
    }  # fmt: skip
    assert (labels == 17).sum() == 24


def test_nothing_is_overwritten(provecfg: Command, streets: Path) -> None:
    provecfg("init", streets)
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    code, _, err = provecfg("init", streets)
    assert code == 2
    assert "study.yaml is there already" in err
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_check_says_what_changed_in_the_data(provecfg: Command, streets: Path) -> None:
    provecfg("init", streets)
    assert provecfg("init", streets, "--check")[0] == 0
    path = streets / "labels/val/street-1-0.png"
    labels = np.array(Image.open(path))
    labels[-1, :5] = 18
    save(path, labels)
    code, out, _ = provecfg("init", streets, "--check")
    assert code == 1
    assert out.startswith("val: as many images as then, of other names or contents; label ")
    path.unlink()
    (streets / "images/val/street-1-0.jpg").unlink()
    assert provecfg("init", streets, "--check")[1] == "val: 3 images then, 2 now\n"


def test_what_is_strange_is_printed_and_written(provecfg: Command, streets: Path) -> None:
    (streets / "labels/train/street-0-3.png").unlink()
    (streets / "images/train/street-0-4.jpg").write_bytes(b"no image")
    code, out, _ = provecfg("init", streets)
    assert code == 1
    assert out.splitlines()[:2] == [
        "error: train: 1 of 6 images have no label map: images/train/street-0-3.jpg",
        "error: train: 1 files cannot be decoded: images/train/street-0-4.jpg (no image of a known format)",
    ]
    assert "# error: train: 1 of 6 images have no label map" in Path("study.yaml").read_text()


def test_a_folder_that_is_nothing_of_the_kind_is_refused_and_nothing_written(provecfg: Command, streets: Path) -> None:
    Path("empty").mkdir()
    code, _, err = provecfg("init", "empty")
    assert code == 2
    assert "there are no images" in err
    assert not Path("study.yaml").exists()


def test_a_second_look_reads_no_file_again(provecfg: Command, streets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provecfg("init", streets)

    def never(_: Path) -> None:
        raise AssertionError("a file was read again")

    monkeypatch.setattr("provecfg.data.records.look_at_label", never)
    monkeypatch.setattr("provecfg.data.records.look_at_image", never)
    assert provecfg("init", streets, "--check")[0] == 0
