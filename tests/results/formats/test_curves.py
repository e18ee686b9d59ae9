from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from provecfg.proof.stopping.finished_log import Validation
from provecfg.results.formats.curves import curves
from provecfg.results.runs import Run, State

pytestmark = pytest.mark.stack

SVG = "{http://www.w3.org/2000/svg}"


def run(**parts: object) -> Run:
    return Run("pspnet & more", Path("work"), State.FINISHED, goal="val/mIoU", **parts)  # type: ignore[arg-type]


def test_the_picture_has_a_chart_of_the_losses_and_one_of_the_validations_below_it() -> None:
    text = curves(
        run(
            losses={"loss": [(50, 2.0), (100, 1.0)], "decode.loss_ce": [(50, 1.5), (100, 0.75)]},
            validations=(Validation(50, None, {"val/mIoU": 20.0}), Validation(100, None, {"val/mIoU": 30.0})),
        )
    )
    assert text is not None
    root = ET.fromstring(text)
    charts = root.findall(f"{SVG}svg")
    assert [chart.findtext(f"{SVG}title") for chart in charts] == [
        "pspnet & more: terms of the training loss",
        "pspnet & more: val/mIoU",
    ]
    tops = [int(chart.get("y", "")) for chart in charts]
    assert tops == [0, int(charts[0].get("height", ""))]
    assert int(root.get("height", "")) == tops[1] + int(charts[1].get("height", ""))
    assert [len(chart.findall(f"{SVG}path[@class]")) for chart in charts] == [5, 2]
    # an axis and a line for each series, and where there are several one in the legend


def test_a_run_that_has_logged_nothing_has_no_picture() -> None:
    assert curves(run()) is None
