"""Generated configs with one mistake each: the rules or the proof see it, or the survivor is defended."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.proof.mutation_operators import OPERATORS
from tests.proof.mutation_table import DEFENDED, PAGE, Verdict, all_mutants, judged, proved, sample_of
from tests.proof.mutations import Mutant

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

PROVED_AGAIN = 10


@pytest.fixture(scope="module")
def made() -> list[Mutant]:
    return all_mutants()


@pytest.fixture(scope="module")
def verdicts(made: list[Mutant]) -> list[Verdict]:
    return judged(made)


def test_there_are_enough_of_every_kind_and_of_every_config(made: list[Mutant], project: Path) -> None:
    assert len(made) >= 300
    assert {mutant.operator for mutant in made} == {operator.name for operator in OPERATORS}
    of_config = Counter(mutant.config for mutant in made)
    assert set(of_config) == {path.stem for path in (project / "generated").glob("*.py")}
    assert min(of_config.values()) >= 10
    assert len({mutant.name for mutant in made}) == len(made)


def test_they_are_the_same_each_time(made: list[Mutant]) -> None:
    assert all_mutants() == made


def test_a_mutant_differs_in_one_place(made: list[Mutant], project: Path) -> None:
    for mutant in made:
        before = (project / f"generated/{mutant.config}.py").read_text(encoding="utf-8").split("\n")
        after = mutant.text.split("\n")
        same_start = next(i for i, (left, right) in enumerate(zip(before, after, strict=False)) if left != right)
        same_end = next(
            i for i, (left, right) in enumerate(zip(reversed(before), reversed(after), strict=False)) if left != right
        )
        # two values exchanged in one pipeline, or an auxiliary head, are the largest
        assert len(before) - same_start - same_end <= 60, mutant.name


def test_the_rules_kill_as_many_as_the_page_says(verdicts: list[Verdict]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    killed = Counter(verdict.mutant.operator for verdict in verdicts if verdict.rules)
    made = Counter(verdict.mutant.operator for verdict in verdicts)
    for operator in OPERATORS:
        row = f"| {operator.name} | {operator.truth} | {made[operator.name]} | {killed[operator.name]} |"
        assert row in page, f"{operator.name}: run `python -m tests.proof.mutation_table` and read the diff"
    assert sum(killed.values()) >= 0.95 * len(verdicts)


@pytest.mark.stack
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
def test_what_the_rules_leave_alive_the_proof_kills_or_is_defended(verdicts: list[Verdict]) -> None:
    alive = proved([verdict for verdict in verdicts if not verdict.rules])
    survivors = {(survivor.mutant.operator, survivor.mutant.what) for survivor in alive if not survivor.proof}
    assert survivors == set(DEFENDED)
    page = PAGE.read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"\d+", page.split("\n")[0])]
    dead = len(verdicts) - len(alive)
    assert numbers == [
        len(verdicts),
        len(OPERATORS),
        dead,
        sum(bool(survivor.proof) for survivor in alive),
        sum(not survivor.proof for survivor in alive),
    ]


@pytest.mark.stack
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
def test_the_proof_sees_a_sample_of_what_the_rules_see(verdicts: list[Verdict]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for verdict in proved(sample_of(verdicts)[:PROVED_AGAIN]):
        listed = f"- {verdict.mutant.operator}: `{verdict.mutant.key}`" in page
        assert listed is not bool(verdict.proof), verdict
