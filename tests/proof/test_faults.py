"""The silent faults, their correct twins and the generated configs, proved: no rule has a part in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from provecfg.proof.prover import Proof
from tests.proof.fault_table import CLEAN, FAULTS, PAGE, UNSEEN, alarms, hits, is_silent, prove, table

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked"),
]

EXHAUSTIVE = pytest.mark.exhaustive
GENERATED = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))
SILENT = [case for case in FAULTS if is_silent(case)]


def sampled(paths: list[Path], every: int, *, turn: bool = False) -> list[Any]:
    """The paths as parameters of which one of every few is tried in CI; in turn, another of each group."""
    taken = (lambda index: index % every == index // every % every) if turn else (lambda index: index % every == 0)
    return [path if taken(index) else pytest.param(path, marks=EXHAUSTIVE) for index, path in enumerate(paths)]


@pytest.fixture(scope="module")
def proofs(request: pytest.FixtureRequest) -> dict[Path, Proof]:
    """The proofs of all configs that this session's tests ask for, two at a time and once each."""
    asked = [
        item.callspec.params["config"]
        for item in request.session.items
        if item.path == Path(__file__) and isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    if any(item.name == "test_the_table_says_what_is_seen" for item in request.session.items):
        asked += SILENT
    paths = [
        path for config in asked for path in (config.parent.glob("*.py") if config.suffix == ".json" else [config])
    ]
    return prove(paths)


@pytest.mark.parametrize("config", sampled(SILENT, 3), ids=lambda case: case.parent.name)
def test_a_silent_fault_is_seen_and_its_twin_is_proved(config: Path, proofs: dict[Path, Proof]) -> None:
    assert alarms(proofs[config.with_name("good.py")]) == []
    caught = hits(config, proofs)
    if config.parent.name in UNSEEN:
        assert not caught, f"{config.parent.name} is seen now: docs/proof.md says that it is not"
    else:
        assert caught, proofs[config.with_name("bad.py")].findings


@pytest.mark.parametrize("config", sampled(CLEAN, 2), ids=lambda path: path.stem)
def test_an_unusual_correct_config_is_proved(config: Path, proofs: dict[Path, Proof]) -> None:
    assert alarms(proofs[config]) == []


@pytest.mark.parametrize("config", sampled(GENERATED, 4, turn=True), ids=lambda path: path.stem)
def test_a_generated_config_is_proved(config: Path, proofs: dict[Path, Proof]) -> None:
    assert alarms(proofs[config]) == []
    assert [timed.section.name for timed in proofs[config].sections if timed.section.not_judged] in ([], ["data"])


@pytest.mark.exhaustive
def test_the_table_says_what_is_seen(proofs: dict[Path, Proof]) -> None:
    assert PAGE.read_text(encoding="utf-8") == table(SILENT, proofs), "run `python -m tests.proof.fault_table`"


def test_the_collection_is_whole() -> None:
    assert len(SILENT) >= 40
    assert len(CLEAN) >= 20


def test_the_generated_configs_are_there() -> None:
    assert len(GENERATED) >= 24
