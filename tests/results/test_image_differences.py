from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.results.report.image_differences import ImageDifference, image_differences
from provecfg.results.report.pictures import Pictures, pictures_of
from provecfg.results.scores import image_iou
from provecfg.results.study import StudyResults, read_study
from tests.results.simulated_study import Effects, study_of, write_study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    study = study_of(2, 2, losses={"auxiliary": ["none", "focal"]})
    return read_study("two", write_study(tmp_path_factory.mktemp("two"), study, Effects(iou={"focal": 3.0})))


def test_the_images_of_the_greatest_difference_come_first(results: StudyResults) -> None:
    differences = image_differences(results)
    assert {image.image for image in differences} == {"0.png", "1.png"}
    assert [abs(image.difference) for image in differences] == sorted(abs(image.difference) for image in differences)[
        ::-1
    ]
    for image in differences:
        index = int(image.image[0])
        own = [image_iou(list(cell.run.counts.values())[-1].read())[index] for cell, _ in image.pairs if cell.run]
        base = [image_iou(list(cell.run.counts.values())[-1].read())[index] for _, cell in image.pairs if cell.run]
        assert image.difference == pytest.approx(np.mean(own) - np.mean(base), abs=1e-9)
        assert (np.array(own) - base).tolist() == sorted((np.array(own) - base).tolist(), reverse=True)
    for cell, other in differences[0].pairs:
        assert {axis for axis in cell.coordinates if cell.coordinates[axis] != other.coordinates[axis]} == {"loss"}


def test_a_run_whose_last_counts_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    study = study_of(2, 2, losses={"auxiliary": ["none", "focal"]})
    paths = write_study(tmp_path, study, Effects(iou={"focal": 3.0}))
    whole = image_differences(read_study("two", paths))
    damaged = sorted(next(path for path in tmp_path.rglob("*focal*") if list(path.rglob("*.npz"))).rglob("*.npz"))[-1]
    damaged.write_bytes(b"")
    shown = image_differences(read_study("two", paths))
    assert [len(image.pairs) for image in whole] == [4, 4]
    assert [len(image.pairs) for image in shown] == [3, 3]


@pytest.fixture
def difference(results: StudyResults, tmp_path: Path) -> ImageDifference:
    """One of a drawn street, as the configs of the study have its data."""
    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=1, val=1, width=96, height=54), tmp_path / "street")
    (name,) = [path.name for path in (root / "images/10k/val").iterdir()]
    first = image_differences(results)[0]
    for cells in first.pairs:
        for cell in cells:
            assert cell.run is not None
            assert cell.run.config is not None
            text = cell.run.config.read_text()
            cell.run.config.write_text(text.replace("{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}", str(root)))
    yield ImageDifference(first.loss, name, first.reference, first.score, first.pairs)
    for cells in first.pairs:
        for cell in cells:
            text = cell.run.config.read_text()
            cell.run.config.write_text(text.replace(str(root), "{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}"))


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")).astype(int)


def test_pictures_are_of_the_crop_where_the_predictions_differ(difference: ImageDifference, tmp_path: Path) -> None:
    truth = np.asarray(Image.open(tmp_path / "street/labels/sem_seg/masks/val" / f"{Path(difference.image).stem}.png"))
    cell, other = difference.pairs[1]
    wrong = truth.copy()
    wrong[30:50, 60:90] = 18  # of the reference alone, below and to the right
    for of, labels in ((cell, truth), (other, wrong)):
        folder = tmp_path / "predictions" / of.name
        folder.mkdir(parents=True)
        Image.fromarray(labels).save(folder / f"{Path(difference.image).stem}.png")
    pictures = pictures_of(difference, tmp_path / "predictions")
    assert isinstance(pictures, Pictures)
    assert pictures.place == f"{cell.coordinates['model']}, {cell.coordinates['seed']}"
    titles = list(pictures.shown)
    assert titles[:4] == ["input", "truth", "ce", "focal"]
    shown = {title: pixels(uri) for title, uri in pictures.shown.items()}
    assert {image.shape for image in shown.values()} == {(27, 48, 3)}
    assert (shown["truth"] == shown["focal"]).all()
    blue = (shown[titles[4]] == (0, 114, 178)).all(axis=-1)
    assert (blue == (shown["truth"] != shown["ce"]).any(axis=-1)).all()
    assert blue.sum() >= 0.8 * (wrong != truth)[truth != 255].sum()


def test_why_there_are_no_pictures_is_said(difference: ImageDifference, tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    assert pictures_of(difference, tmp_path / "predictions") == (
        f"no folder of {tmp_path / 'predictions'} has {Path(difference.image).stem}.png of both losses"
    )
    for of in difference.pairs[0]:
        (tmp_path / "predictions" / of.name).mkdir()
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(
            tmp_path / "predictions" / of.name / f"{Path(difference.image).stem}.png"
        )
    assert "are not of one size" in str(pictures_of(difference, tmp_path / "predictions"))


def test_an_image_that_is_a_pipe_is_named_and_not_waited_for(difference: ImageDifference, tmp_path: Path) -> None:
    name = Path(difference.image).stem
    for of in difference.pairs[0]:
        (tmp_path / "predictions" / of.name).mkdir(parents=True)
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "predictions" / of.name / f"{name}.png")
    (image,) = (tmp_path / "street").rglob(f"images/**/val/{name}.*")
    image.unlink()
    os.mkfifo(image)
    assert "it is a pipe" in str(pictures_of(difference, tmp_path / "predictions"))
