from __future__ import annotations

import os
from pathlib import Path

from provecfg.findings import Finding, placed
from provecfg.mmconfig import read_config
from provecfg.training.problems import AMP_ON_CPU, NO_DATA_ROOT


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


def test_a_path_with_dots_in_it_is_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "net.py").write_text("data_root = 'nowhere'\n")
    path = Path(os.path.join(tmp_path, "data", "..", "net.py"))
    finding = placed(Finding(NO_DATA_ROOT, "gone", "data_root"), path, read_config(path))
    assert (finding.filename, finding.target) == (tmp_path / "net.py", None)
    assert placed(Finding(NO_DATA_ROOT, "gone"), path, None).filename == tmp_path / "net.py"
