from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from provecfg import api
from provecfg.errors import ProvecfgError
from tests.results.simulated_study import Effects, study_of, write_study

BAD = 'default_scope = "mmseg"\nmodel = dict(type="EncoderDecoder", decode_head=dict(type="FCNHead", num_clases=4))\n'


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "<b>.py"
    path.write_text(BAD)
    return path


def test_a_config_is_a_mapping_of_dotted_paths_that_knows_its_lines(tmp_path: Path, bad: Path) -> None:
    child = tmp_path / "child.py"
    child.write_text(f"_base_ = [{bad.name!r}]\ntrain_dataloader = dict(batch_size=2)\n")
    config = api.read(child)
    assert config["model.decode_head.num_clases"] == 4
    assert config["train_dataloader.batch_size"] == 2
    assert config.where("model.decode_head.num_clases") == (bad, 2)
    assert set(config) >= {"model", "train_dataloader"}
    assert "model.neck" not in config
    assert api.read(child, {"model.decode_head.num_clases": 5})["model.decode_head.num_clases"] == 5


def test_findings_are_a_sequence_a_text_and_an_escaped_table(bad: Path) -> None:
    findings = api.judge(bad)
    assert not findings.is_clean
    assert "REG002" in {finding.code for finding in findings.errors}
    assert "REG002" in repr(findings)
    table = findings._repr_html_()
    assert "<table>" in table
    assert "<b>" not in table
    assert [row["code"] for row in findings.rows()] == [finding.code for finding in findings]


def test_a_study_of_the_catalog_is_judged_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert api.judge("loss-study").is_clean
    with pytest.raises(ProvecfgError, match="loss-study"):
        api.judge("loss-studi")


def test_findings_are_a_data_frame(bad: Path) -> None:
    frame = api.judge(bad).frame()
    assert list(frame["code"]) == [finding.code for finding in api.judge(bad)]
    assert list(api.judge(bad)[:0].frame().columns) == list(frame.columns)


def test_a_fix_is_shown_first_and_written_when_asked(bad: Path) -> None:
    assert "num_classes" in api.fix(bad).diff()
    assert bad.read_text() == BAD
    api.fix(bad, write=True)
    assert bad.read_text() == BAD.replace("num_clases", "num_classes")


def test_a_study_is_written_and_its_cells_compared(tmp_path: Path) -> None:
    study = api.study(name="mine", models=["pspnet_r50"], losses={"auxiliary": ["none", "focal"]})
    paths = study.write(tmp_path)
    assert [path.stem for path in paths] == list(study.cells)
    assert api.judge(*paths).is_clean
    compared = api.compare(*paths)
    assert not compared.findings
    assert "loss" in repr(compared)
    paths[0].write_text(paths[0].read_text() + "x = 1\n")
    with pytest.raises(ProvecfgError, match="edited by hand"):
        study.write(tmp_path)


def test_a_report_is_a_data_frame_of_its_runs(tmp_path: Path) -> None:
    written = write_study(tmp_path / "simulated", study_of(models=2, seeds=2), Effects())
    report = api.report(tmp_path / "simulated")
    frame = report.frame()
    assert len(frame) == len(written)
    assert set(frame["loss"]) == {"ce", "focal", "lovasz", "boundary"}
    assert frame["mIoU"].between(0, 100).all()
    assert "simulated" in report.html()


def test_the_pages_example_runs(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", (project / "docs/api.md").read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(project / "generated", "generated")
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["findings"].is_clean
    assert sorted(path.stem for path in Path("generated/mine").iterdir()) == sorted(names["study"].cells)


def test_the_docstrings_example_runs(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.__doc__ is not None
    lines = [line.strip() for line in api.__doc__.splitlines() if line.startswith("    ")]
    assert len(lines) >= 7
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    shutil.copy(project / "generated/pspnet_r50_bdd10k_ce.py", "configs/mine.py")
    write_study(tmp_path / "work_dirs/mine", study_of(models=1, seeds=1), Effects())
    monkeypatch.setattr(api, "prove", lambda config: api.read(config))  # builds a model; its own tests do
    exec("\n".join(lines), {})
    assert Path("generated/pspnet_r50_bdd10k_ce_s1.py").is_file()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: api.read(folder / "gone.py"), "no such file"),
        (lambda folder: api.judge(folder / "gone.py"), "does not exist"),
        (lambda folder: api.study(name="mine", models=["pspnet"]), "did you mean"),
        (lambda folder: api.report(folder), "no run in"),
        (lambda folder: api.report(folder / "gone"), "is no folder"),
        (lambda folder: api.prove(folder / "gone.py"), "no such file"),
    ],
)
def test_what_is_the_users_to_fix_is_said(tmp_path: Path, call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ProvecfgError, match=message):
        call(tmp_path)
