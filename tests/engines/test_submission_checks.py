from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from provecfg.engines import submission_checks
from provecfg.engines.submission_checks import Examination, examined, kinds_without_proof
from provecfg.header import sealed
from provecfg.mmconfig import read_config
from provecfg.proof.receipt import FAILED, PROVED, Receipt, code_of, receipt_path
from provecfg.training.fingerprint import digests_of
from provecfg.training.record import versions
from provecfg.training.work_dir import work_dir_of


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provecfg) -> list[Path]:
    """The configs of a cell's three seeds, as they were generated."""
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text("name: small\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\nseeds: [1, 2, 3]\n")
    assert provecfg("generate", "study.yaml")[0] == 0
    return sorted((tmp_path / "generated").glob("*.py"))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What the rules were asked about, by this process alone."""
    asked: list[Path] = []
    judge = submission_checks.judgement_of_view

    def noted(view):
        asked.append(view.path)
        return judge(view)

    monkeypatch.setattr(submission_checks, "judgement_of_view", noted)
    monkeypatch.setattr(submission_checks, "map_in_processes", lambda function, items: list(map(function, items)))
    return asked


def examinations_of(configs: list[Path]) -> list[Examination]:
    return examined(configs, Path("study").absolute(), {}, ())


def test_of_seeds_that_nobody_has_edited_one_is_judged(seeds: list[Path], judged: list[Path]) -> None:
    examinations = examinations_of(seeds)
    assert judged == seeds[:1]
    assert [each.path for each in examinations] == seeds
    assert [each.judgement.texts for each in examinations] == [{path: path.read_text()} for path in seeds]
    assert len({each.cell.id for each in examinations}) == 3


def test_an_edited_seed_is_judged_by_itself(seeds: list[Path], judged: list[Path]) -> None:
    text = seeds[1].read_text()
    seeds[1].write_text(text.replace("type='CrossEntropyLoss'", "type='CrossEntropyLos'"))
    examinations = examinations_of(seeds)
    assert judged == seeds[:2]
    assert [bool(each.judgement.findings) for each in examinations] == [False, True, False]
    seeds[1].write_text(text.replace("randomness = dict(seed=2)", "randomness = dict(seed='two')"))
    assert [bool(each.judgement.findings) for each in examinations_of(seeds)] == [False, True, False]


def test_where_one_seed_has_findings_each_has_its_own(seeds: list[Path], judged: list[Path]) -> None:
    for path in seeds:
        path.write_text(sealed(path.read_text().replace("type='CrossEntropyLoss'", "type='CrossEntropyLos'")))
    examinations = examinations_of(seeds)
    assert judged == seeds
    assert all({finding.filename for finding in each.judgement.findings} == {each.path} for each in examinations)


def test_a_fresh_receipt_of_one_seed_speaks_for_the_kind(seeds: list[Path]) -> None:
    examinations = examinations_of(seeds)
    assert kinds_without_proof(examinations) == seeds[:1]
    path, values = seeds[2], read_config(seeds[2]).values
    receipt = Receipt(
        path.stem, str(path), PROVED, digests_of(values), code_of(values, path.parent), versions(), "cpu",
        "2026-01-01T00:00:00+00:00", 1.0, (), (),
    )  # fmt: skip
    place = receipt_path(work_dir_of(path, values), path)
    receipt.write(place)
    assert kinds_without_proof(examinations) == []
    for stale in (
        dataclasses.replace(receipt, verdict=FAILED),
        dataclasses.replace(receipt, digests={**receipt.digests, "model": "another"}),
        dataclasses.replace(receipt, code=dict.fromkeys(receipt.code, "another")),
        dataclasses.replace(receipt, versions={**receipt.versions, "python": "2.7"}),
    ):
        stale.write(place)
        assert kinds_without_proof(examinations) == seeds[:1]
