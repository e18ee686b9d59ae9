from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from provecfg.findings import Finding, Problem, Severity, Span
from provecfg.findings.edits import edited
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.settings import Settings
from provecfg.findings.suppressions import suppressions_in

CONFIG = Path("/project/net.py")


def found(row: int, code: str = "LOSS003", file: Path = CONFIG) -> Finding:
    return Finding(Problem(code, "some-rule", "", ""), f"wrong in line {row}", filename=file, span=Span(row, 1, row, 2))


def screen(
    findings: Sequence[Finding], texts: dict[Path, str], settings: Settings | None = None, asked: Path | None = None
) -> list[Finding]:
    """What is left of the findings in a file that was asked about, with what is said of its comments."""
    judgement = Judgement(asked or next(iter(texts)), tuple(findings), texts)
    return screened([judgement], lambda folder: settings or Settings(), says_unused=True)


def after(text: str, *findings: Finding, file: Path = CONFIG) -> list[tuple[str, str]]:
    return [(d.code, d.message) for d in screen(findings, {file: text})]


def test_a_comment_silences_its_codes_on_its_line() -> None:
    text = "x = 1  # provecfg: ignore[LOSS003, STOP001] the paper does it so\ny = 2\n"
    kept = screen([found(1), found(1, "STOP001"), found(1, "HEAD001"), found(2)], {CONFIG: text})
    assert [(d.code, d.span and d.span.row) for d in kept] == [("HEAD001", 1), ("LOSS003", 2)]


def test_a_finding_about_the_whole_file_is_silenced_in_its_first_line() -> None:
    whole = replace(found(1), span=None)
    assert after("# provecfg: ignore[LOSS003] old run\nx = 1\n", whole) == []
    assert len(after("x = 1\n# provecfg: ignore[LOSS003] old run\n", whole)) == 2


def test_an_unused_code_is_reported_and_taken_out() -> None:
    text = "x = 1  # provecfg: ignore[LOSS003,STOP001] why\n"
    (unused,) = screen([found(1)], {CONFIG: text})
    assert (unused.code, unused.name, unused.severity) == ("CFG090", "unused-suppression", Severity.WARNING)
    assert unused.message == "STOP001 is not found on this line"
    assert unused.span == Span(1, 8, 1, 47)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("x = 1  # provecfg: ignore[LOSS003,STOP001] why\n", "x = 1  # provecfg: ignore[LOSS003] why\n"),
        ("y = 1\nx = 1  # provecfg: ignore[STOP001] why\n", "y = 1\nx = 1\n"),
        ("y = 1\nx = 1  # as in #3  # provecfg: ignore[STOP001] why\n", "y = 1\nx = 1  # as in #3\n"),
    ],
)
def test_the_fix_takes_out_only_what_is_unused(tmp_path: Path, text: str, mended: str) -> None:
    config = tmp_path / "net.py"
    config.write_text(text)
    edited(screen([found(1, file=config)], {config: text})).write()
    assert config.read_text() == mended


@pytest.mark.parametrize(
    ("comment", "problem"),
    [
        ("# provecfg: ignore[LOSS003]", "it gives no reason"),
        ("# provecfg: ignore", "it names no code"),
        ("# provecfg: ignore[] because", "it names no code"),
        ("# provecfg: ignore[LOSS] because", "'LOSS' is not a code"),
        ("# provecfg: ignor[LOSS003] because", "'ignor' is not something it can do"),
        ("# provecfg:", "'nothing' is not something it can do"),
    ],
)
def test_a_malformed_comment_is_reported(comment: str, problem: str) -> None:
    malformed = [d for d in screen([found(1)], {CONFIG: f"x = 1  {comment}\n"}) if d.code == "CFG091"]
    assert [d.message for d in malformed] == [problem]


def test_a_comment_without_a_reason_still_silences() -> None:
    assert after("x = 1  # provecfg: ignore[LOSS003]\n", found(1)) == [("CFG091", "it gives no reason")]


def test_a_string_that_looks_like_a_comment_is_none() -> None:
    text = "x = '# provecfg: ignore[LOSS003] no'\ny = '''\n# provecfg: ignore[LOSS003] no\n'''\n"
    assert suppressions_in(text, CONFIG) == []


def test_comments_count_in_yaml_and_in_files_that_do_not_parse() -> None:
    study = Path("/project/study.yaml")
    assert after("name: x  # provecfg: ignore[LOSS003] why\n", found(1, file=study), file=study) == []
    assert after("x = (\ny = 1  # provecfg: ignore[LOSS003] why\n'''", found(2)) == []
    assert suppressions_in('{"a": "# provecfg: ignore[LOSS003] no"}', Path("a.json")) == []
    assert suppressions_in("url: a#provecfg: ignore[LOSS003] no", study) == []


def test_what_was_not_judged_is_not_unused() -> None:
    texts = {CONFIG: "x = 1  # provecfg: ignore[LOSS003] why\n"}
    assert screen([], texts, Settings(ignore=("LOSS003",))) == []
    assert screen([], texts, asked=Path("/project/child.py")) == []
    assert screen([], texts, Settings(ignore=("CFG090",))) == []


@pytest.mark.parametrize("code", ["RUN101", "PROOF005"])
def test_what_is_found_by_running_alone_is_not_unused(code: str) -> None:
    assert screen([], {CONFIG: f"x = 1  # provecfg: ignore[{code}] the data is elsewhere\n"}) == []


def test_a_comment_in_a_base_silences_it_for_every_config() -> None:
    children = [replace(found(1), target=Path(f"/project/{name}.py")) for name in "ab"]
    assert after("x = 1  # provecfg: ignore[LOSS003] why\n", *children) == []


def test_lines_count_as_the_reader_counts_them() -> None:
    text = "a = 1\r\nb = '\x0c'\r\nc = 1  # provecfg: ignore[LOSS003] why\r\n"
    assert after(text, found(3)) == []
    assert after("a = 1\n\x0cb = '''\u2028'''\nc = 1  # provecfg: ignore[LOSS003] why\n", found(3)) == []
