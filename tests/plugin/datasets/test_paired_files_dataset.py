from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from PIL import Image

from provecfg.data.encodings import LabelError

pytestmark = pytest.mark.stack

LABELS = np.array([[0, 1, 2, 255]] * 3, np.uint8)
PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "LoadEncodedAnnotations"}, {"type": "PackSegInputs"}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("images/day", "masks/day"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(np.full((3, 4, 3), 99, np.uint8)).save(tmp_path / f"images/day/{name}.jpg")
        Image.fromarray(LABELS).save(tmp_path / f"masks/day/{name}_mask.png")
    return tmp_path


def built(root: Path, **arguments: Any) -> Any:
    init_default_scope("mmseg")
    return DATASETS.build(
        {
            "type": "PairedFilesDataset",
            "data_root": str(root),
            "images": "images/{weather}/*.jpg",
            "labels": "masks/{weather}/*_mask.png",
            "metainfo": {"classes": ["soil", "crop", "weed"]},
            "pipeline": PIPELINE,
            **arguments,
        }
    )


def test_a_sample_has_the_image_and_its_classes(root: Path) -> None:
    dataset = built(root)
    assert len(dataset) == 2
    sample = dataset[0]
    assert sample["inputs"].shape == (3, 3, 4)
    assert sample["data_samples"].gt_sem_seg.data[0].tolist() == LABELS.tolist()
    assert sample["data_samples"].seg_map_path == str(root / "masks/day/a_mask.png")
    assert dataset.metainfo["classes"] == ["soil", "crop", "weed"]


def test_labels_are_mapped_once(root: Path) -> None:
    mapped = built(root, mapping={0: 255, 1: 0, 2: 1, 255: 2})
    assert mapped[0]["data_samples"].gt_sem_seg.data[0, 0].tolist() == [255, 0, 1, 2]
    assert mapped.label_map is None
    assert mapped.reduce_zero_label is False


def test_a_value_without_a_class_stops_the_loader_with_the_file_and_the_value(root: Path) -> None:
    with pytest.raises(LabelError, match=r"a_mask.png' holds 2, which the mapping gives no class"):
        built(root, mapping={0: 0, 1: 1, 255: 255})[0]


def test_images_know_the_slices_that_they_are_in(root: Path) -> None:
    dataset = built(root, slices={"weather": "images/{weather}/*"})
    assert dataset.get_data_info(1)["slices"] == {"weather": "day"}


def test_lists_and_shares_choose_images(root: Path) -> None:
    (root / "val.txt").write_text("b\n")
    assert [Path(info["img_path"]).stem for info in built(root, files="val.txt").load_data_list()] == ["b"]
    assert len(built(root, share=(0.0, 0.5))) == 1


def test_joined_with_a_dataset_of_mmsegs_it_is_one(root: Path) -> None:
    (root / "masks/plain").mkdir()
    Image.fromarray(LABELS).save(root / "masks/plain/a.png")
    Image.fromarray(LABELS).save(root / "masks/plain/b.png")
    plain = {
        "type": "BaseSegDataset",
        "data_root": str(root),
        "data_prefix": {"img_path": "images/day", "seg_map_path": "masks/plain"},
        "metainfo": {"classes": ["soil", "crop", "weed"], "palette": [[0, 0, 0]] * 3},
        "pipeline": [PIPELINE[0], {"type": "LoadAnnotations"}, PIPELINE[2]],
    }
    own = {
        "type": "PairedFilesDataset", "data_root": str(root), "images": "images/day/*.jpg",
        "labels": "masks/day/*_mask.png", "metainfo": {"classes": ["soil", "crop", "weed"]}, "pipeline": PIPELINE,
    }  # fmt: skip
    joined = DATASETS.build({"type": "ConcatDataset", "datasets": [plain, own], "ignore_keys": ["palette"]})
    assert len(joined) == 4
    assert joined[0]["data_samples"].gt_sem_seg.data.tolist() == joined[2]["data_samples"].gt_sem_seg.data.tolist()


def test_a_generated_image_has_its_originals_labels_in_its_own_size(root: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8, 3), 7, np.uint8)).save(tmp_path / "fog.png")
    (tmp_path / "manifest.csv").write_text(
        "gen_path,original_path,name,domain,dataset,target_domain\nfog.png,images/day/a.jpg,a,day,weeds,fog\n"
    )
    dataset = built(root, manifest=str(tmp_path / "manifest.csv"), generated_of=["weeds"])
    assert len(dataset) == 1
    sample = dataset[0]
    assert sample["inputs"].unique().tolist() == [7]
    assert sample["data_samples"].gt_sem_seg.data[0, 0].tolist() == [0, 0, 1, 1, 2, 2, 255, 255]
    assert sample["data_samples"].gt_sem_seg.data.shape[1:] == (6, 8)


def test_labels_are_the_same_from_the_cache(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "home"))
    loader = {"type": "LoadEncodedAnnotations", "cache": True}
    dataset = built(root, pipeline=[PIPELINE[0], loader, PIPELINE[2]])
    for _ in range(2):
        assert dataset[0]["data_samples"].gt_sem_seg.data[0].tolist() == LABELS.tolist()
    assert len(list((tmp_path / "home/labels").rglob("*.png"))) == 1
