from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from provecfg.data import encodings
from provecfg.data.encodings import LabelDecoder, LabelError
from provecfg.data.label_cache import cached_labels

COLOURS = {"#400000": 0, "#008000": 1, "#000000": 255}


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:2] = (64, 0, 0)
    pixels[2] = (0, 128, 0)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    return path


def decoder(**colours: int) -> LabelDecoder:
    return LabelDecoder("rgb", 2, {**COLOURS, **colours})


def test_a_label_map_is_mapped_once(label_map: Path) -> None:
    first = cached_labels(label_map, decoder())
    assert first[:, 0].tolist() == [0, 0, 1, 255]
    with mock.patch.object(encodings.LabelDecoder, "read", side_effect=AssertionError("read again")):
        again = cached_labels(label_map, decoder())
    assert (again == first).all()
    assert again.dtype == np.uint8


def test_a_label_map_that_changed_is_mapped_anew(label_map: Path) -> None:
    cached_labels(label_map, decoder())
    status = label_map.stat()
    Image.fromarray(np.full((4, 6, 3), (0, 128, 0), np.uint8)).save(label_map)
    os.utime(label_map, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert np.unique(cached_labels(label_map, decoder())).tolist() == [1]


def test_another_meaning_is_mapped_anew(label_map: Path) -> None:
    cached_labels(label_map, decoder())
    assert cached_labels(label_map, decoder(**{"#400000": 1}))[0, 0] == 1


def test_what_cannot_be_mapped_is_refused_as_ever(label_map: Path) -> None:
    with pytest.raises(LabelError, match=r"a\.png' holds #000000, #008000, which the mapping gives no class"):
        cached_labels(label_map, LabelDecoder("rgb", 2, {"#400000": 0}))
    with pytest.raises(LabelError, match=r"nowhere\.png' cannot be decoded"):
        cached_labels(label_map.with_name("nowhere.png"), decoder())


def test_labels_are_mapped_where_nothing_can_be_kept(label_map: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_HOME", str(label_map))  # a file, in which there is no folder
    assert cached_labels(label_map, decoder())[0, 0] == 0
