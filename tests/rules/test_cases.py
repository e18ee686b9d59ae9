"""The faulty configs and their correct twins, scored as tests/cases/README.md says, and the generated configs."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.findings import Finding, Severity
from provecfg.mmconfig import read_config
from provecfg.rules import judge
from tests.cases.scoring import CLEAN, FAULTS, is_within, keys_of

GENERATED = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))


def found(path: Path) -> list[Finding]:
    view = read_config(path)
    return [finding for finding in (*view.problems, *judge(view)) if finding.severity is not Severity.NOTE]


@pytest.mark.parametrize("case", FAULTS, ids=lambda path: path.parent.name)
def test_a_fault_is_caught_and_its_twin_is_silent(case: Path) -> None:
    assert found(case.with_name("good.py")) == []
    bad = found(case.with_name("bad.py"))
    assert [finding for finding in bad if is_within(finding.key, keys_of(case))], bad


@pytest.mark.parametrize("config", CLEAN, ids=lambda path: path.stem)
def test_an_unusual_correct_config_is_silent(config: Path) -> None:
    assert found(config) == []


def test_the_collection_is_whole() -> None:
    assert len(FAULTS) >= 90
    assert len(CLEAN) >= 20


@pytest.mark.parametrize("config", GENERATED, ids=lambda path: path.stem)
def test_a_generated_config_is_silent(config: Path) -> None:
    assert found(config) == []


def test_the_generated_configs_are_there() -> None:
    assert len(GENERATED) >= 24
