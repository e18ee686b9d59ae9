"""mmsegmentation's configs without mmsegmentation."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from docs.generate.shipped_bases import installed_bases
from provecfg.mmconfig import read_config
from provecfg.mmconfig.shipped_bases import ARCHIVE, is_shipped, namesakes, packed, shipped_bases, whole_configs

CHILD = "_base_ = 'mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py'\n"


@pytest.fixture
def without_mmseg(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mmseg" else find_spec(name))


@pytest.mark.stack
def test_the_archive_is_what_is_installed_and_packs_to_the_same_bytes() -> None:
    assert shipped_bases() == installed_bases()
    assert packed(shipped_bases()) == ARCHIVE.read_bytes()


def test_whole_configs_have_names_of_their_own() -> None:
    paths = [path for path in shipped_bases().texts if not path.startswith("_base_/") and "/_base_/" not in path]
    assert sorted(whole_configs().values()) == sorted(paths)


@pytest.mark.stack
def test_a_base_of_mmseg_says_the_same_where_mmseg_is_not_installed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    installed = read_config(tmp_path / "a.py", text=CHILD)
    request.getfixturevalue("without_mmseg")
    shipped = read_config(tmp_path / "b.py", text=CHILD)
    assert shipped.values == installed.values
    assert shipped.values["model"]["decode_head"]["type"] == "SegformerHead"
    assert [is_shipped(file) for file in shipped.files] == [False, *[True] * (len(shipped.files) - 1)]
    assert not any(map(is_shipped, installed.files))


@pytest.mark.usefixtures("without_mmseg")
def test_a_base_that_mmseg_does_not_have_is_said_to_be_missing(tmp_path: Path) -> None:
    view = read_config(tmp_path / "a.py", text="_base_ = 'mmseg::segformer/segformer_mit-b9.py'\n")
    (problem,) = view.problems
    assert problem.code == "CFG003"
    assert problem.message == (
        "the base 'mmseg::segformer/segformer_mit-b9.py': segformer/segformer_mit-b9.py is no config of "
        f"{shipped_bases().release}"
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (
            "./segformer_mit-b0_512x512_160k_ade20k.py",
            ["mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py"],
        ),
        ("../../_base_/models/fcn_r50-d8.py", ["mmseg::_base_/models/fcn_r50-d8.py"]),
        ("segformer_mit-b9_512x512_160k_ade20k.py", []),
        ("mine.py", []),
        ("", []),
    ],
)
def test_a_base_of_another_release_or_folder_is_known_by_its_words(name: str, known: list[str]) -> None:
    assert namesakes(name) == known
