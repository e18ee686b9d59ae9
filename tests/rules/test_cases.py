"""The faulty configs and their correct twins, scored as their README says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provecfg.findings import Finding, Severity
from provecfg.mmconfig import read_config
from provecfg.rules import judge

ROOT = Path(__file__).parents[2]
CASES = ROOT / "../shared/faults/cases"
FAULTS = sorted(CASES.glob("F*/case.json"))
CLEAN = sorted(CASES.glob("clean/*.py"))
GENERATED = sorted((ROOT / "generated").glob("*.py"))

needs_cases = pytest.mark.skipif(not FAULTS, reason="the collection of faulty configs is not beside the checkout")


def found(path: Path) -> list[Finding]:
    view = read_config(path)
    return [one for one in (*view.problems, *judge(view)) if one.severity is not Severity.NOTE]


def is_within(key: str, other: str) -> bool:
    """Equal, or one is the other's beginning, cut at a dot or bracket."""
    short, long = sorted((key, other), key=len)
    return bool(short) and long.startswith(short) and long[len(short) :][:1] in ("", ".", "[")


@needs_cases
@pytest.mark.parametrize("case", FAULTS, ids=lambda path: path.parent.name)
def test_a_fault_is_caught_and_its_twin_is_silent(case: Path) -> None:
    keys = json.loads(case.read_text(encoding="utf-8"))["keys"]
    assert found(case.with_name("good.py")) == []
    bad = found(case.with_name("bad.py"))
    assert [one for one in bad if any(is_within(one.key, key) for key in keys)], bad


@needs_cases
@pytest.mark.parametrize("config", CLEAN, ids=lambda path: path.stem)
def test_an_unusual_correct_config_is_silent(config: Path) -> None:
    assert found(config) == []


@needs_cases
def test_the_collection_is_whole() -> None:
    assert len(FAULTS) >= 90
    assert len(CLEAN) >= 20


@pytest.mark.parametrize("config", GENERATED, ids=lambda path: path.stem)
def test_a_generated_config_is_silent(config: Path) -> None:
    assert found(config) == []


def test_the_generated_configs_are_there() -> None:
    assert len(GENERATED) >= 24
