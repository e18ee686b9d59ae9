"""Images that show their own labels, through pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmseg.datasets  # noqa: F401  (registers the datasets and transforms)
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image

import provecfg.plugin  # noqa: F401  (registers its own)
from provecfg.data.layouts import Layout
from provecfg.pairs import Selection
from provecfg.proof.data.label_moves import check_moves

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

LOAD: list[dict[str, Any]] = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]


@TRANSFORMS.register_module()
class ProofMirrorImageAlone(BaseTransform):
    """Mirrors an image, and not its labels, every other time."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if np.random.rand() < 0.5:
            results["img"] = results["img"][:, ::-1].copy()
        return results


@pytest.fixture
def moved(tmp_path: Path):
    """Where a pipeline moves images and labels apart."""
    for folder, pixels in (("img", np.zeros((32, 32, 3))), ("ann", np.arange(1024).reshape(32, 32) % 19)):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / "a.png")
    init_default_scope("mmseg")

    def keys(*steps: dict[str, Any]) -> list[str]:
        dataset = DATASETS.build(
            {
                "type": "BaseSegDataset",
                "data_root": str(tmp_path),
                "data_prefix": {"img_path": "img", "seg_map_path": "ann"},
                "img_suffix": ".png",
                "pipeline": [*LOAD, *steps],
            }
        )
        return [finding.key for finding in check_moves(dataset, "dataset", tmp_path / "fields")]

    return keys


def test_what_moves_both_is_right(moved) -> None:
    assert (
        moved(
            {"type": "RandomResize", "scale": (512, 256), "ratio_range": (0.5, 2.0), "keep_ratio": True},
            {"type": "RandomCrop", "crop_size": (96, 96), "cat_max_ratio": 0.75},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "RandomRotate", "prob": 1.0, "degree": 20},
            {"type": "PhotoMetricDistortion"},
        )
        == []
    )


def test_what_covers_a_part_of_the_image_has_not_moved_it(moved) -> None:
    assert moved({"type": "RandomCutOut", "prob": 1.0, "n_holes": 1, "cutout_ratio": (0.5, 0.5)}) == []


def test_what_moves_the_image_alone_is_named(moved) -> None:
    assert moved({"type": "RandomFlip", "prob": 0.5}, {"type": "ProofMirrorImageAlone"}) == ["dataset.pipeline[3]"]


@pytest.mark.parametrize("encoding", ["rgb", "repeated", "binary_255"])
def test_labels_are_followed_however_the_files_hold_them(encoding: str, tmp_path: Path) -> None:
    colours = {"#ff0000": 0, "#00ff00": 1} if encoding == "rgb" else None
    layout = Layout(Selection("img/*.png", "ann/*.png"), ("a", "b"), encoding, mapping=colours)
    layout.write(tmp_path, 0, np.zeros((32, 32, 3), np.uint8), np.eye(32, dtype=np.uint8))
    init_default_scope("mmseg")

    def keys(*steps: dict[str, Any]) -> list[str]:
        dataset = DATASETS.build(
            {
                "type": "PairedFilesDataset",
                "data_root": str(tmp_path),
                "images": "img/*.png",
                "labels": "ann/*.png",
                "metainfo": {"classes": ("a", "b")},
                "encoding": encoding,
                "mapping": colours,
                "pipeline": [LOAD[0], {"type": "LoadEncodedAnnotations"}, *steps],
            }
        )
        return [finding.key for finding in check_moves(dataset, "dataset", tmp_path / "fields")]

    assert keys({"type": "RandomFlip", "prob": 0.5}) == []
    assert keys({"type": "RandomFlip", "prob": 0.5}, {"type": "ProofMirrorImageAlone"}) == ["dataset.pipeline[3]"]


def test_a_pipeline_that_draws_nothing_is_run_once(moved, tmp_path: Path) -> None:
    assert moved({"type": "Resize", "scale": (256, 256)}) == []
    assert len(list((tmp_path / "fields").glob("*.png"))) == 1
