from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provecfg.registry import registry_for
from provecfg.registry.release import (
    installed_versions,
    load,
    load_installed,
    made_file,
    other_versions,
    read_snapshot,
    shipped_file,
)
from provecfg.registry.snapshot_changes import changes_between

ONEDL = {
    "onedl-mmcv": "2.3.6",
    "onedl-mmdetection": "3.5.1",
    "onedl-mmengine": "0.10.12",
    "onedl-mmsegmentation": "1.4.2",
}


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache folder of the test's own, and what was loaded by others left to them."""
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "home"))
    load_installed.cache_clear()
    yield
    load_installed.cache_clear()


def installed(site: Path, monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Let packages of these versions be all that is installed; `_` stands for `-`."""
    site.mkdir()
    for name, version in versions.items():
        (site / f"{name}-{version}.dist-info").mkdir()
    monkeypatch.setattr("sys.path", [str(site)])


def made_with_another_argument(file: Path) -> None:
    """A snapshot of mmsegmentation 1.5.0, whose FCNHead takes one more argument, and which registers one class more."""
    data = json.loads(shipped_file("onedl").read_text(encoding="utf-8"))
    data["packages"]["onedl-mmsegmentation"] = "1.5.0"
    row = data["classes"]["mmseg.models.decode_heads.fcn_head"]["FCNHead"]
    row[1] = f"num_rounds=3, {row[1]}"
    data["registered"]["model"]["mmseg"]["NewHead"] = "mmseg.models.decode_heads.fcn_head.FCNHead"
    del data["registered"]["model"]["mmseg"]["PSPHead"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data), encoding="utf-8")


def test_the_first_of_two_installed_versions_counts_without_its_local_part(tmp_path: Path) -> None:
    for folder, version in (("first", "2.13.0+cpu"), ("second", "2.0.0")):
        (tmp_path / folder / f"torch-{version}.dist-info").mkdir(parents=True)
    (tmp_path / "first" / "mmengine.egg-info").mkdir()  # which says no version
    assert installed_versions("openmmlab", [str(tmp_path / "first"), str(tmp_path / "second")]) == {"torch": "2.13.0"}


def test_the_shipped_snapshot_judges_what_it_was_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {name.replace("-", "_"): version for name, version in ONEDL.items()}
    installed(tmp_path / "site", monkeypatch, **versions, torch="2.4.0")
    assert load_installed() is load("onedl")
    assert other_versions() == {}


def test_mmcv_with_its_operators_is_the_release_of_mmcv_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path / "site", monkeypatch, mmsegmentation="1.2.2", mmcv="2.1.0", mmengine="0.10.4")
    assert other_versions() == {"mmengine": ("0.10.4", load("openmmlab").packages["mmengine"])}


def test_another_release_is_judged_by_the_snapshot_that_was_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path / "site", monkeypatch, onedl_mmsegmentation="1.5.0")
    assert other_versions() == {"onedl-mmsegmentation": ("1.5.0", "1.4.2")}
    made_with_another_argument(made_file("onedl", {"onedl-mmsegmentation": "1.5.0"}))
    load_installed.cache_clear()
    assert other_versions() == {}
    head = registry_for().find("FCNHead", "model")
    assert head is not None
    assert "num_rounds" in head.parameters


@pytest.mark.parametrize("text", ["", "[]", '{"format": 0}', "{"])
def test_a_snapshot_that_cannot_be_read_is_as_if_it_were_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    installed(tmp_path / "site", monkeypatch, onedl_mmsegmentation="1.5.0")
    file = made_file("onedl", {"onedl-mmsegmentation": "1.5.0"})
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert load_installed() is load("onedl")


def test_where_nobody_has_a_home_the_shipped_snapshot_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("PROVECFG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert load_installed() is load("onedl")


def test_changes_name_versions_classes_and_arguments(tmp_path: Path) -> None:
    made_with_another_argument(tmp_path / "made.json")
    changes = changes_between(load("onedl"), read_snapshot(tmp_path / "made.json"))
    assert changes.versions == {"onedl-mmsegmentation": ("1.4.2", "1.5.0")}
    assert (changes.added, changes.removed) == (("mmseg.NewHead",), ("mmseg.PSPHead",))
    assert changes.arguments == {"mmseg.FCNHead": ("+num_rounds",)}
    assert not changes.are_alike


def test_what_is_refused_otherwise_is_a_difference_though_no_name_is(
    tmp_path: Path,
) -> None:
    (tmp_path / "made.json").write_bytes(shipped_file("onedl").read_bytes())
    same = changes_between(load("onedl"), load("onedl"))
    other = changes_between(load("onedl"), read_snapshot(tmp_path / "made.json"))  # whose excerpts are not there
    assert (same.versions, same.added, same.removed, same.arguments, same.are_alike) == ({}, (), (), {}, True)
    assert (other.versions, other.added, other.removed, other.arguments, other.are_alike) == ({}, (), (), {}, False)
