"""Fixes are judged before they are kept; `validate`'s own judge is the one that judges here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.findings import Applicability, Edit, Finding, Fix, Problem, Severity, Span
from provecfg.findings.edits import FixResult
from provecfg.findings.fixes import JudgedTarget, apply_fixes
from provecfg.findings.settings import Settings
from provecfg.validate import judge_for_fixes

WRONG = Problem("LOSS900", "wrong", "A value is wrong.", "It fails.")
NEW = Problem("LOSS901", "new", "A value is new.", "It fails.")
JUDGE = judge_for_fixes(lambda folder: Settings())
TEXT = "model = dict(type='EncoderDecoder', gamma=2)\nnorm = 1\n"
GAMMA = Span(1, 43, 1, 44)
NORM = Span(2, 8, 2, 9)

Judge = Callable[[Path, Mapping[Path, str]], JudgedTarget]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(TEXT)
    return path


def finding(path: Path, *edits: tuple[Span, str], key: str, keys: tuple[str, ...] = (), safe: bool = True) -> Finding:
    fix = Fix(
        f"mend {key}",
        Applicability.SAFE if safe else Applicability.UNSAFE,
        tuple(Edit(path, span, text, keys) for span, text in edits),
    )
    return Finding(WRONG, f"{key} is wrong", key, filename=path, span=edits[0][0], fix=fix)


def judging(findings: Callable[[Path, str], list[Finding]]) -> Judge:
    """A judge that finds what the text of the target makes it find, and reads values as `validate` does."""

    def judge(target: Path, unsaved: Mapping[Path, str]) -> JudgedTarget:
        text = unsaved.get(target) or target.read_text()
        return replace(JUDGE(target, unsaved), findings=tuple(findings(target, text)))

    return judge


def mended(config: Path, findings: Callable[[Path, str], list[Finding]], *, unsafe: bool = False) -> FixResult:
    result = apply_fixes([config], judging(findings), unsafe=unsafe)
    assert config.read_text() == TEXT  # nothing is written before it is asked for
    return result


def test_a_fix_whose_finding_goes_is_made(config: Path) -> None:
    result = mended(
        config, lambda path, text: [finding(path, (GAMMA, "2.0"), key="model.gamma")] if "gamma=2)" in text else []
    )
    assert result.files == {config: (TEXT, TEXT.replace("gamma=2", "gamma=2.0"))}
    result.write()
    assert "gamma=2.0" in config.read_text()


def test_a_fix_whose_finding_stays_is_not_made(config: Path) -> None:
    result = mended(config, lambda path, text: [finding(path, (GAMMA, "3"), key="model.gamma")])
    assert (result.files, len(result.skipped)) == ({}, 1)


def test_a_fix_that_brings_another_finding_is_not_made(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        if "gamma=2)" in text:
            return [finding(path, (GAMMA, "3"), key="model.gamma")]
        return [Finding(NEW, "3 is too many", "model.gamma", filename=path)]

    assert mended(config, findings).files == {}
    assert mended(config, findings, unsafe=True).files == {}


@pytest.mark.parametrize(("keys", "is_made"), [((), False), (("norm",), True)])
def test_a_safe_fix_changes_its_own_keys_alone(config: Path, keys: tuple[str, ...], is_made: bool) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        edits = ((GAMMA, "2.0"), (NORM, "2"))
        return [finding(path, *edits, key="model.gamma", keys=keys)] if "gamma=2)" in text else []

    assert bool(mended(config, findings).files) is is_made


def test_an_unsafe_fix_may_change_more(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        return [finding(path, (GAMMA, "2.0"), (NORM, "2"), key="model.gamma", safe=False)] if "2)" in text else []

    assert mended(config, findings).files == {}
    assert mended(config, findings, unsafe=True).files


def test_a_fix_that_does_not_hold_keeps_no_other_from_being_made(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        good = [finding(path, (NORM, "2"), key="norm")] if "norm = 1" in text else []
        return [finding(path, (GAMMA, "3"), key="model.gamma"), *good]

    assert mended(config, findings).files[config][1] == TEXT.replace("norm = 1", "norm = 2")


def test_fixes_that_undo_each_other_end(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        return [finding(path, (GAMMA, "3" if "gamma=2" in text else "2"), key="model.gamma")]

    assert len(mended(config, findings).skipped) == 1


def test_a_fix_that_uncovers_another_is_followed_by_it(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        if "gamma=2)" in text:
            return [finding(path, (GAMMA, "3"), key="model.gamma"), finding(path, (NORM, "2"), key="norm")]
        return [finding(path, (NORM, "2"), key="norm")] if "norm = 1" in text else []

    assert mended(config, findings).files[config][1] == TEXT.replace("gamma=2", "gamma=3").replace(
        "norm = 1", "norm = 2"
    )


def test_what_follows_from_another_finding_is_not_mended(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        from provecfg.findings.finding import Cause

        consequence = finding(path, (GAMMA, "3"), key="model.gamma")
        return [replace(consequence, caused_by=Cause("CFG003", ""))] if "gamma=2" in text else []

    assert mended(config, findings).files == {}


def test_a_config_that_inherits_is_judged_with_its_mended_base(config: Path) -> None:
    child = config.with_name("child.py")
    child.write_text("_base_ = './net.py'\n")

    def findings(path: Path, text: str) -> list[Finding]:
        if path == config:
            return [finding(path, (GAMMA, "3"), key="model.gamma")] if "gamma=2)" in text else []
        return []

    def judge(target: Path, unsaved: Mapping[Path, str]) -> JudgedTarget:
        judged = judging(findings)(target, unsaved)
        if target == child and judged.values["model.gamma"] == 3:
            return replace(judged, findings=(Finding(NEW, "3 is too many", "model.gamma", filename=child),))
        return judged

    assert apply_fixes([config, child], judge).files == {}
    assert apply_fixes([config], judge).files


def test_an_unread_note_is_no_new_finding(config: Path) -> None:
    def findings(path: Path, text: str) -> list[Finding]:
        if "gamma=2)" in text:
            return [finding(path, (GAMMA, "3"), key="model.gamma")]
        return [Finding(replace(NEW, severity=Severity.NOTE), "not judged", "model", filename=path)]

    assert mended(config, findings).files
