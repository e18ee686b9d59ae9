"""Rules register themselves, each under a code of its own, in the folder that its code names."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.rules import RULES, Mark, rule
from provecfg.rules.table import rules_in

FOLDERS = {
    "CFG": "files",
    "REG": "names",
    "LOSS": "losses",
    "HEAD": "heads",
    "DATA": "data",
    "STOP": "stopping",
    "SCHED": "schedule",
    "RUN": "runtime",
}
NEW_RULE = '''
from provecfg.findings import Severity
from provecfg.rules.rule import Mark, rule


@rule("LOSS997", Severity.NOTE)
def new_rule(facts):
    """A rule that is named in no table."""
    yield Mark(facts.root, "seen")
'''


def test_a_module_that_is_put_into_a_folder_is_picked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "more_rules" / "losses"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "new.py").write_text(NEW_RULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    rules = rules_in("more_rules", folder.parent)
    assert [(rule.code, rule.name) for rule in rules] == [("LOSS997", "new-rule")]


def test_a_code_that_is_taken_is_refused_with_both_rules() -> None:
    def second(facts: Facts) -> Iterator[Mark]:
        yield Mark(facts.root, "seen")

    with pytest.raises(ValueError, match=r"LOSS001 is the code of .*name_without_loss and of .*second"):
        rule("LOSS001", Severity.ERROR)(second)


def test_every_module_of_a_folder_has_rules() -> None:
    rules_folder = Path(importlib.import_module("provecfg.rules").__path__[0])
    modules = {f"provecfg.rules.{path.parent.name}.{path.stem}" for path in rules_folder.glob("*/[a-z]*.py")}
    assert modules == {rule.check.__module__ for rule in RULES}


def test_a_rule_lies_in_the_folder_of_its_family() -> None:
    folders = {rule.code: rule.check.__module__.split(".")[2] for rule in RULES}
    assert folders == {code: FOLDERS[code.rstrip("0123456789")] for code in folders}
