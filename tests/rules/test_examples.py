"""Each rule's own examples: what it says is bad, it finds, and nothing else; what it says is good is silent."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from provecfg.findings import Edit, Finding, Severity
from provecfg.findings.problems import RETIRED
from provecfg.mmconfig import read_config
from provecfg.registry import registry_for
from provecfg.rules import RULES, Rule, judge
from tests.rules.examples import NEED_RELEASE, write_example

EVERY_RULE = [pytest.param(rule, id=rule.code) for rule in RULES]
RULES_OF_NOTES = {rule.code for rule in RULES if rule.severity is Severity.NOTE}
MUST_HAVE_FIXES = {
    "REG001",  # wrong names
    "REG002",
    "REG003",  # swallowed keys
    "REG005",
    "REG007",
    "LOSS001",  # loss names
    "LOSS002",
    "LOSS023",  # int for float
    "STOP001",  # monitor and prefix
    "STOP013",
    "SCHED003",  # schedule ends
    "SCHED006",  # by_epoch
    "SCHED012",
}


def judged(example: str, folder: Path, *, release: str | None = None) -> list[Finding]:
    """What is found in an example."""
    view = read_config(write_example(example, folder))
    findings = [*view.problems, *judge(view, registry=registry_for(view, release=release))]
    return [finding for finding in findings if finding.severity is not Severity.NOTE or finding.code in RULES_OF_NOTES]


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_bad_example_is_found_and_has_no_other_error(rule: Rule, tmp_path: Path) -> None:
    release = NEED_RELEASE.get(rule.code, "onedl")
    findings = judged(rule.problem.bad, tmp_path, release=release)
    assert rule.code in {finding.code for finding in findings}
    assert {finding.code for finding in findings if finding.severity is Severity.ERROR} <= {rule.code}


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_good_example_is_silent(rule: Rule, tmp_path: Path) -> None:
    release = NEED_RELEASE.get(rule.code, "onedl")
    assert judged(rule.problem.good, tmp_path, release=release) == []


def mended(text: str, edits: tuple[Edit, ...]) -> str:
    """The text with one fix made, from the end to the front."""
    lines = text.split("\n")
    starts = [0, *itertools.accumulate(len(line) + 1 for line in lines)]
    for edit in sorted(edits, key=lambda finding: finding.span, reverse=True):
        span = edit.span
        start, end = starts[span.row - 1] + span.column - 1, starts[span.end_row - 1] + span.end_column - 1
        text = text[:start] + edit.text + text[end:]
    return text


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_fix_mends_what_it_was_offered_for(rule: Rule, tmp_path: Path) -> None:
    release = NEED_RELEASE.get(rule.code, "onedl")
    findings = judged(rule.problem.bad, tmp_path, release=release)
    before = [finding for finding in findings if finding.code == rule.code]
    offered = [finding for finding in before if finding.fix is not None]
    if not offered:
        assert rule.code not in MUST_HAVE_FIXES
        return
    assert offered[0].fix is not None
    file = offered[0].fix.edits[0].filename
    assert {edit.filename for edit in offered[0].fix.edits} == {file}
    file.write_text(mended(file.read_text(encoding="utf-8"), offered[0].fix.edits), encoding="utf-8")
    view = read_config(tmp_path / "config.py")
    after = [*view.problems, *judge(view, registry=registry_for(view, release=release))]
    codes = [finding.code for finding in after if finding.severity is not Severity.NOTE]
    assert codes.count(rule.code) == len(before) - 1
    assert set(codes) <= {finding.code for finding in findings}


@pytest.mark.parametrize("rule", EVERY_RULE)
def test_a_rule_is_documented(rule: Rule) -> None:
    page = rule.problem
    assert page.summary.endswith((".", "?"))
    assert "\n" not in page.summary
    assert page.why
    assert page.source


def test_no_code_is_used_twice() -> None:
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes)) >= 110


def test_no_name_is_used_twice() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))


def test_numbers_of_a_family_have_no_holes() -> None:
    codes = [*(rule.code for rule in RULES), *RETIRED]
    for family in ("REG0", "REG1", "LOSS", "HEAD", "STOP", "SCHED", "DATA", "RUN"):
        numbers = [int(code[len(family) :]) for code in codes if code.startswith(family)]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
