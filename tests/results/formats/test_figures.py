from __future__ import annotations

import re
from pathlib import Path

import pytest

from provecfg.results.report.data import report_data
from provecfg.results.study import read_study
from tests.results.simulated_study import Effects, study_of, write_study

pytestmark = pytest.mark.slow


def test_each_figure_is_a_page_and_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    from provecfg.results.formats.figures import report_as_pdf

    study = study_of(2, 2, losses={"auxiliary": ["none", "focal"]})
    data = report_data(read_study("name with $x_1$", write_study(tmp_path, study, Effects(iou={"focal": 2.0}))))
    pdf = report_as_pdf(data)
    assert pdf.startswith(b"%PDF-")
    # A forest plot a metric, curves of two models, the widths of the bands.
    assert len(re.findall(rb"/Type /Page\b", pdf)) == len(data["forest"]) + 2 + 1
    assert report_as_pdf(data) == pdf
    with pytest.raises(ValueError, match="nothing to draw"):
        report_as_pdf({**data, "forest": [], "curves": [], "widths": None})
