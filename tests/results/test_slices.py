from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from provecfg.attributes import read_attributes
from provecfg.errors import ProvecfgError
from provecfg.results.report.slices import FOLDER, slice_scores
from provecfg.results.scores import METRIC
from provecfg.results.study import StudyResults, read_study
from tests.results.simulated_study import Effects, SimulatedRun, study_of, write_study


def in_two_cities(run: SimulatedRun) -> None:
    names = np.array(["bochum/0.png", "zurich/1.png"])
    run.validations = {step: replace(counts, image_names=names) for step, counts in run.validations.items()}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    study = study_of(2, 2, losses={"auxiliary": ["none", "focal"]})
    effects = Effects(iou={"focal": 3.0})
    return read_study("cities", write_study(tmp_path_factory.mktemp("cities"), study, effects, in_two_cities))


def test_a_slice_is_the_score_of_its_images_alone(results: StudyResults) -> None:
    (part,) = slice_scores(results)
    assert part["attribute"] == FOLDER
    assert [(row["value"], row["images"]) for row in part["rows"]] == [("bochum", 1), ("zurich", 1)]
    for index, row in enumerate(part["rows"]):
        of_city = np.arange(2) == index
        for loss, score in row["scores"].items():
            runs = [cell.run for cell in results.included if cell.coordinates["loss"] == loss]
            own = [METRIC["mIoU"].score(list(run.counts.values())[-1].read().subset(of_city)) for run in runs if run]
            assert len(own) == 4
            assert score == pytest.approx(np.mean(own), abs=1e-9)
    low, high = sorted(row["scores"]["ce"] for row in part["rows"])
    assert part["gaps"]["ce"] == pytest.approx(high - low)


def test_a_table_of_the_images_slices_them(results: StudyResults, tmp_path: Path) -> None:
    table = tmp_path / "weather.csv"
    table.write_text("\ufeffimage,weather,id\n0,fog,a\nother/9.jpg,clear,b\n", encoding="utf-8")
    parts = {part["attribute"]: part for part in slice_scores(results, read_attributes(table))}
    assert [row["value"] for row in parts["weather"]["rows"]] == ["fog", "not said"]
    fog, folder = parts["weather"]["rows"][0], parts[FOLDER]["rows"][0]
    assert fog["scores"] == folder["scores"]


@pytest.mark.parametrize("text", ["", "name,weather\n0,fog\n", "image\n0\n"])
def test_a_table_that_names_no_image_is_refused(text: str, tmp_path: Path) -> None:
    table = tmp_path / "weather.csv"
    table.write_text(text)
    with pytest.raises(ProvecfgError, match=r"weather\.csv has the columns"):
        read_attributes(table)


def test_images_of_one_folder_are_no_slices(tmp_path: Path) -> None:
    study = study_of(1, 1, losses={"auxiliary": ["none", "focal"]})
    assert slice_scores(read_study("one", write_study(tmp_path, study, Effects()))) == []
