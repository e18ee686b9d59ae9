"""What rules claim is what is seen: of a sample of them here, of all by `make claims`, whose page has to be fresh."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from provecfg.rules import RULES
from tests.rules.claims.completion import whole_examples
from tests.rules.claims.statements import Claim, claim_of
from tests.rules.claims.table import PAGE, tried_problems
from tests.rules.claims.trial import Moment, Outcome, Trial, outcomes

PROBLEMS = {rule.code: rule.problem for rule in RULES}
AT_BUILD = frozenset({Moment.BUILD})


def rows() -> dict[str, list[str]]:
    """The cells of each row of the page, by code."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| [")]
    return {line[3 : line.index("]")]: line.strip("| ").split(" | ") for line in lines}


def test_the_page_has_what_every_rule_claims_now_and_none_that_is_wrong() -> None:
    claimed = {problem.code: str(claim_of(problem)) for problem in tried_problems()}
    assert {code: cells[1] for code, cells in rows().items()} == claimed, "run `make claims`"
    assert [cells for cells in rows().values() if cells[-1].startswith("wrong")] == []


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (
            "KeyError 'a' at the first validation.",
            Claim(True, False, frozenset({Moment.VALIDATION}), frozenset({"KeyError"})),
        ),
        ("a bare AssertionError when the head is built.", Claim(True, False, AT_BUILD, frozenset({"AssertionError"}))),
        ("the loss asserts it.", Claim(True, False, frozenset(), frozenset({"AssertionError"}))),
        ("torch refuses it.", Claim(True, False)),
        ('it says "hook should be an instance" and fails.', Claim(True, False, words=("hook should be an instance",))),
        (
            'label 1 has no channel: "index 1 is out of bounds" at the first iteration.',
            Claim(True, False, frozenset({Moment.ITERATION}), words=("index 1 is out of bounds",)),
        ),
        ("an error at the first iteration.", Claim(True, False, frozenset({Moment.ITERATION}))),
        ("it fails as soon as an image has one.", Claim(True, False)),
        ("it trains, or fails.", Claim(True, True)),
        ("nothing refuses it, and the rate rises.", Claim(False, True)),
        ("the rate is what it was.", Claim(False, True)),
    ],
)
def test_a_claim_is_read_from_the_words_of_a_text(text: str, claim: Claim) -> None:
    problem = dataclasses.replace(PROBLEMS["LOSS007"], summary="", why=text)
    assert claim_of(problem) == claim


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(),
        Outcome(Moment.BUILD, "TypeError", "hook should be an instance"),
        Outcome(Moment.LOAD, "KeyError", "hook should be an instance"),
        Outcome(Moment.BUILD, "KeyError", "no such class"),
    ],
)
def test_a_claim_is_not_seen_in_another_outcome(outcome: Outcome) -> None:
    claim = Claim(True, False, AT_BUILD, frozenset({"KeyError"}), ("hook should be an instance",))
    assert claim.is_seen_in(Outcome(Moment.BUILD, "KeyError", "hook should be an instance of Hook"))
    assert not claim.is_seen_in(outcome)


@pytest.mark.stack
@pytest.mark.slow
def test_what_is_claimed_of_building_is_seen(tmp_path: Path) -> None:
    claims = {problem.code: claim_of(problem) for problem in tried_problems()}
    sample = [code for code, claim in claims.items() if claim.moments == AT_BUILD and not claim.runs][::6]
    assert len(sample) >= 3
    wholes = [whole_examples(PROBLEMS[code], tmp_path) for code in sample]
    trials = [Trial(whole.bad, data=whole.good) for whole in wholes if whole is not None]
    seen = dict(zip(sample, outcomes(trials, tmp_path), strict=True))
    assert {code: outcome for code, outcome in seen.items() if not claims[code].is_seen_in(outcome)} == {}


@pytest.mark.stack
@pytest.mark.slow
def test_what_an_example_leaves_out_is_not_filled_in(tmp_path: Path) -> None:
    whole = whole_examples(PROBLEMS["DATA014"], tmp_path)
    assert whole is not None
    assert whole.good.count("'sampler'") == whole.bad.count("'sampler'") + 1
