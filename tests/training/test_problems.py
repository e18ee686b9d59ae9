from __future__ import annotations

import re
from pathlib import Path

import pytest

from provecfg.findings import Finding, placed
from provecfg.mmconfig import read_config
from provecfg.spelling import first_few as some
from provecfg.training.problems import AMP_ON_CPU, NO_DATA_ROOT, PROBLEMS

pytestmark = pytest.mark.stack


def test_codes_are_unique_and_in_order() -> None:
    codes = [problem.code for problem in PROBLEMS]
    assert len(codes) >= 20
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"RUN1\d\d", code) for code in codes)
    assert len({problem.name for problem in PROBLEMS}) == len(PROBLEMS)


def test_every_code_says_what_and_why() -> None:
    for problem in PROBLEMS:
        assert problem.summary.endswith(".")
        assert problem.why.endswith(".")
        assert re.fullmatch(r"[a-z0-9-]+", problem.name)


def test_a_finding_points_at_its_key_in_the_file(project: Path) -> None:
    path = project / "generated" / "pspnet_r50_bdd10k_ce.py"
    view = read_config(path)
    finding = placed(Finding(NO_DATA_ROOT, "gone", "train_dataloader.dataset.data_root"), path, view)
    assert finding.span is not None
    line = path.read_text().splitlines()[finding.span.row - 1]
    assert line.strip().startswith("data_root=")
    assert (finding.code, finding.filename, finding.target) == ("RUN101", path, None)


def test_a_key_that_the_file_does_not_have_points_at_what_is_around_it(project: Path) -> None:
    path = project / "generated" / "pspnet_r50_bdd10k_ce.py"
    finding = placed(Finding(AMP_ON_CPU, "amp", "optim_wrapper.no_such_key"), path, read_config(path))
    assert finding.span is not None
    assert "optim_wrapper" in path.read_text().splitlines()[finding.span.row - 1]
    assert placed(Finding(AMP_ON_CPU, "amp"), path, None).span is None


def test_long_lists_are_cut() -> None:
    assert some(["a"]) == "a"
    assert some(["a", "b", "c", "d"], 2) == "a, b and 2 more"
