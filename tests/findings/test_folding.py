from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from provecfg.findings import Finding, Problem, Severity, is_failure
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.settings import Settings

CONFIG = Path("/project/net.py")
WRAPPER = Problem("REG002", "unknown-argument", "A class takes no such argument.", "It fails.")
LATE = Problem("DATA027", "late-step", "A step comes too late.", "It fails.")


def finding(problem: Problem, key: str, covers: str | None = None) -> Finding:
    return Finding(problem, f"{key} is wrong", key, filename=CONFIG, covers=covers)


def screen(*findings: Finding, text: str = "", settings: Settings | None = None) -> dict[str, tuple[str, str] | None]:
    """Each shown finding's cause, by code and key."""
    shown = screened([Judgement(CONFIG, findings, {CONFIG: text})], lambda folder: settings or Settings())
    return {f"{finding.code} {finding.key}": finding.caused_by and tuple(finding.caused_by) for finding in shown}


def test_what_lies_in_a_covered_part_follows_from_it() -> None:
    causes = screen(
        finding(WRAPPER, "train_dataloader.dataset.data_root", covers="train_dataloader.dataset"),
        finding(LATE, "train_dataloader.dataset.pipeline[0]"),
        finding(LATE, "train_dataloader.datasets"),
        finding(LATE, "train_dataloader"),
    )
    assert causes == {
        "REG002 train_dataloader.dataset.data_root": None,
        "DATA027 train_dataloader.dataset.pipeline[0]": ("REG002", "train_dataloader.dataset.data_root"),
        "DATA027 train_dataloader.datasets": None,
        "DATA027 train_dataloader": None,
    }


def test_the_whole_config_can_be_covered() -> None:
    missing = Problem("CFG003", "missing-base", "A base is missing.", "Nothing of it is known.")
    causes = screen(finding(missing, "", covers=""), finding(LATE, "model"))
    assert causes["DATA027 model"] == ("CFG003", "")


def test_of_two_that_cover_each_other_the_second_follows_from_the_first() -> None:
    first = replace(finding(WRAPPER, "a.b", covers="a"), message="1")
    second = replace(finding(WRAPPER, "a.c", covers="a"), message="2")
    assert screen(first, second) == {"REG002 a.b": None, "REG002 a.c": ("REG002", "a.b")}


def test_an_error_does_not_follow_from_a_warning() -> None:
    mild = replace(WRAPPER, severity=Severity.WARNING)
    assert screen(finding(mild, "a", covers="a"), finding(LATE, "a.b"))["DATA027 a.b"] is None


def test_a_consequence_of_a_silenced_cause_stands_alone() -> None:
    cause, consequence = finding(WRAPPER, "a.b", covers="a"), finding(LATE, "a.c")
    assert screen(cause, consequence, settings=Settings(ignore=("REG002",))) == {"DATA027 a.c": None}
    text = "x = 1  # provecfg: ignore[REG002] a fork takes it\n"
    assert screen(cause, consequence, text=text) == {"DATA027 a.c": None}


def test_another_config_is_not_covered() -> None:
    elsewhere = replace(finding(LATE, "a.c"), filename=Path("/project/other.py"))
    shown = screened(
        [Judgement(CONFIG, (finding(WRAPPER, "a.b", covers="a"),)), Judgement(elsewhere.filename, (elsewhere,))],
        lambda folder: Settings(),
    )
    assert [entry.caused_by for entry in shown] == [None, None]


def test_consequences_do_not_count() -> None:
    shown = screened(
        [Judgement(CONFIG, (finding(WRAPPER, "a", covers="a"), finding(LATE, "a.b")))], lambda folder: Settings()
    )
    assert {entry.code: is_failure([entry]) for entry in shown} == {"REG002": True, "DATA027": False}
