from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.data.layouts import layout_of
from provecfg.data.scenes import MARKER, Drawing, cache_dir, draw_street, smoke_data_for
from provecfg.errors import ProvecfgError
from provecfg.generate.data import dataset_of
from provecfg.study.schema import Data

pytestmark = pytest.mark.stack

SMALL = Drawing(train=3, val=2, width=128, height=72)


def pixels_of(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def labels_below(root: Path) -> list[np.ndarray]:
    return [pixels_of(path) for path in sorted(root.rglob("*.png"))]


@pytest.mark.parametrize("name", DATASETS)
def test_drawn_data_is_laid_out_as_the_dataset_expects(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # torch deprecates torch.jit.script, which torchvision's and mmdet's modules use when they are imported.
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS as REGISTERED

    init_default_scope("mmseg")
    dataset = DATASETS[name]
    root = smoke_data_for(dataset, SMALL, tmp_path / "data")
    decoder = layout_of(dataset, dataset.train).decoder()
    for part, count in (("train", SMALL.train), ("val", SMALL.val)):
        built = dataset_of(Data(), dataset, part, lambda _: [])
        # serialised, mmengine collects garbage each time, which takes longer than all the rest
        read = REGISTERED.build({**built, "data_root": str(root), "serialize_data": False})
        assert len(read) == count
        for item in (read.get_data_info(index) for index in range(count)):
            assert pixels_of(item["img_path"]).shape == (SMALL.height, SMALL.width, 3)
            assert decoder.read(Path(item["seg_map_path"])).shape == (SMALL.height, SMALL.width)


def test_labels_are_classes_or_ignored_and_most_classes_of_a_street_occur(tmp_path: Path) -> None:
    root = smoke_data_for(DATASETS["bdd10k"], Drawing(), tmp_path / "data")
    values = set(np.unique(labels_below(root)).tolist())
    assert values <= {*range(19), 255}
    assert {0, 1, 2, 5, 8, 10, 11, 13, 255} <= values


def test_the_same_seed_draws_the_same_street() -> None:
    first, again = (draw_street(SMALL, (7, 0, 1)) for _ in range(2))
    other = draw_street(SMALL, (8, 0, 1))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_classes_are_told_apart_by_colour() -> None:
    """The nearest mean colour finds most pixels, so a network has something to learn at once."""
    streets = [draw_street(Drawing(), (0, 0, index)) for index in range(4)]
    pixels = np.concatenate([image.reshape(-1, 3) for image, _ in streets]).astype(float)
    labels = np.concatenate([label.ravel() for _, label in streets])
    classes = np.setdiff1d(np.unique(labels), [255])
    means = np.stack([pixels[labels == value].mean(0) for value in classes])
    known = labels != 255
    distances = ((pixels[known, None] - means) ** 2).sum(-1)
    assert (classes[distances.argmin(-1)] == labels[known]).mean() > 0.8


def test_drawn_data_is_reused(tmp_path: Path) -> None:
    root = smoke_data_for(DATASETS["bdd10k"], SMALL, tmp_path / "data")
    stamp = (root / MARKER).stat().st_mtime_ns
    assert smoke_data_for(DATASETS["bdd10k"], SMALL, root) == root
    assert (root / MARKER).stat().st_mtime_ns == stamp


def test_nothing_is_left_beside_the_drawn_data(tmp_path: Path) -> None:
    smoke_data_for(DATASETS["bdd10k"], SMALL, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ProvecfgError, match="is no drawn dataset"):
        smoke_data_for(DATASETS["bdd10k"], SMALL, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_drawings_that_differ_are_kept_apart() -> None:
    first = smoke_data_for(DATASETS["bdd10k"], SMALL)
    second = smoke_data_for(DATASETS["bdd10k"], replace(SMALL, seed=1))
    assert first != second
    assert first.is_relative_to(cache_dir())


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "file"))
    with pytest.raises(ProvecfgError, match="cannot be written") as raised:
        smoke_data_for(DATASETS["bdd10k"], SMALL)
    assert "PROVECFG_HOME" in str(raised.value)
