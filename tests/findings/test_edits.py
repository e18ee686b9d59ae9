from __future__ import annotations

import ast
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provecfg.errors import ProvecfgError
from provecfg.findings import Applicability, Edit, Finding, Fix, Problem, Severity, Span
from provecfg.findings.edits import diff_of, edited

SOURCE = "# focal, weighted\nloss = dict(\n    type='FocalLoss',  # sigmoid\n    gamma=2,\n)\n"
GAMMA = Span(4, 11, 4, 12)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def edit(path: Path, span: Span, text: str) -> Edit:
    return Edit(path, span, text)


def finding(
    *edits: Edit, safe: bool = True, severity: Severity = Severity.ERROR, message: str = "gamma is an int"
) -> Finding:
    applicability = Applicability.SAFE if safe else Applicability.UNSAFE
    return Finding(
        Problem("LOSS035", "int", "", "", severity),
        message,
        filename=edits[0].filename,
        span=edits[0].span,
        fix=Fix("mend", applicability, edits),
    )


def test_only_the_span_changes(config: Path) -> None:
    outcome = edited([finding(edit(config, GAMMA, "2.0"))])
    assert config.read_text() == SOURCE
    outcome.write()
    assert config.read_text() == SOURCE.replace("gamma=2,", "gamma=2.0,")


def test_unsafe_fixes_are_made_only_when_asked_for(config: Path) -> None:
    unsafe = finding(edit(config, GAMMA, "0.5"), safe=False)
    assert edited([unsafe]).files == {}
    assert edited([unsafe], unsafe=True).applied == (unsafe,)


def test_a_finding_that_several_configs_inherit_is_mended_once(config: Path) -> None:
    inherited = finding(edit(config, GAMMA, "2.0"))
    twice = [replace(inherited, target=Path("a.py")), replace(inherited, target=Path("b.py"))]
    outcome = edited(twice)
    assert outcome.files[config][1].count("2.0") == 1
    assert len(outcome.applied) == 2


def test_of_overlapping_fixes_the_worse_findings_goes_first(config: Path) -> None:
    mild = finding(edit(config, GAMMA, "3.0"), severity=Severity.WARNING)
    bad = finding(edit(config, Span(4, 5, 4, 12), "gamma=4.0"))
    outcome = edited([mild, bad])
    assert (outcome.applied, outcome.skipped) == ((bad,), (mild,))
    assert "gamma=4.0," in outcome.files[config][1]


def test_a_fix_is_made_whole_or_not_at_all(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    first = finding(edit(config, GAMMA, "2.0"))
    second = finding(edit(other, Span(1, 5, 1, 6), "2"), edit(config, GAMMA, "5.0"))
    outcome = edited([first, second])
    assert list(outcome.files) == [config]
    assert outcome.skipped == (second,)


@pytest.mark.parametrize(
    "span", [Span(9, 1, 9, 2), Span(4, 11, 4, 99), Span(0, 1, 1, 1), Span(4, 12, 4, 11), Span(1, 0, 1, 1)]
)
def test_an_edit_of_a_place_that_is_not_there_is_skipped(config: Path, span: Span) -> None:
    assert edited([finding(edit(config, span, "x"))]).files == {}


def test_two_insertions_in_one_place_wait_for_each_other(config: Path) -> None:
    place = Span(4, 12, 4, 12)
    first, second = finding(edit(config, place, ".0")), finding(edit(config, place, ".5"), message="other")
    assert edited([first, second]).skipped == (second,)


def test_neighbouring_edits_go_together(config: Path) -> None:
    name, value = finding(edit(config, Span(4, 5, 4, 10), "alpha")), finding(edit(config, Span(4, 10, 4, 12), "=0.5"))
    assert "    alpha=0.5,\n" in edited([value, name]).files[config][1]


def test_line_ends_mark_and_missing_last_newline_stay(tmp_path: Path) -> None:
    config = tmp_path / "dos.py"
    config.write_bytes(b"\xef\xbb\xbfx = 1\r\ny = '\xc3\xa9'; z = 2\r\nw = 3")
    outcome = edited(
        [
            finding(edit(config, Span(1, 5, 1, 6), "10")),
            finding(edit(config, Span(2, 14, 2, 15), "(\n  20)")),
            finding(edit(config, Span(3, 5, 3, 6), "30")),
        ]
    )
    outcome.write()
    assert config.read_bytes() == b"\xef\xbb\xbfx = 10\r\ny = '\xc3\xa9'; z = (\r\n  20)\r\nw = 30"


def test_a_fix_that_breaks_the_file_is_not_made(config: Path) -> None:
    good = finding(edit(config, GAMMA, "2.0"))
    bad = finding(edit(config, Span(5, 1, 5, 2), ""))
    outcome = edited([bad, good])
    assert (outcome.applied, outcome.skipped) == ((good,), (bad,))
    ast.parse(outcome.files[config][1])


def test_a_file_that_does_not_parse_anyway_can_be_mended(tmp_path: Path) -> None:
    config = tmp_path / "net.py"
    config.write_text("x = {{$ROOT:data}}\ny = 1\n")
    assert edited([finding(edit(config, Span(2, 5, 2, 6), "2"))]).files[config][1] == "x = {{$ROOT:data}}\ny = 2\n"


def test_files_not_meant_to_change_are_left_alone(config: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "mmseg" / "base.py"
    installed.parent.mkdir(parents=True)
    installed.write_text(SOURCE)
    mine, theirs = finding(edit(config, GAMMA, "2.0")), finding(edit(installed, GAMMA, "2.0"))
    assert list(edited([mine, theirs]).files) == [config]
    assert edited([mine, theirs], editable=[]).files == {}
    assert list(edited([mine, theirs], editable=[installed]).files) == [installed]


def test_a_file_changed_since_it_was_judged_is_left_alone(config: Path) -> None:
    outcome = edited([finding(edit(config, GAMMA, "2.0"))])
    changed = "# new first line\n" + SOURCE
    config.write_text(changed)
    with pytest.raises(ProvecfgError, match="changed meanwhile"):
        outcome.write()
    assert config.read_text() == changed


def test_a_text_that_is_not_saved_yet_is_edited_in_its_place(config: Path) -> None:
    outcome = edited([finding(edit(config, Span(1, 5, 1, 6), "2"))], unsaved={config: "x = 1\n"})
    assert outcome.files == {config: ("x = 1\n", "x = 2\n")}


def test_binary_and_absent_files_are_left_alone(tmp_path: Path) -> None:
    latin = tmp_path / "latin.py"
    latin.write_bytes(b"x = '\xe9'")
    for path in (latin, tmp_path / "gone.py"):
        assert edited([finding(edit(path, Span(1, 1, 1, 2), "y"))]).files == {}


def test_mode_and_links_stay(config: Path, tmp_path: Path) -> None:
    config.chmod(0o640)
    link = tmp_path / "link.py"
    link.symlink_to(config)
    edited([finding(edit(link, GAMMA, "2.0"))]).write()
    assert link.is_symlink()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert "2.0" in config.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.py", "net.py"]


def test_a_failed_write_puts_the_others_back(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    other = folder / "other.py"
    other.write_text("x = 1\n")
    outcome = edited([finding(edit(config, GAMMA, "2.0"), edit(other, Span(1, 5, 1, 6), "2"))])
    other.unlink()
    with pytest.raises(ProvecfgError, match=r"cannot write .*other.py"):
        outcome.write()
    assert config.read_text() == SOURCE


def test_the_diff_is_what_git_applies(config: Path, tmp_path: Path) -> None:
    outcome = edited([finding(edit(config, GAMMA, "2.0"))])
    diff = outcome.diff(tmp_path)
    assert diff.splitlines()[:2] == ["--- a/net.py", "+++ b/net.py"]
    assert "-    gamma=2,\n+    gamma=2.0,\n" in diff
    assert config.read_text() == SOURCE
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True)
    assert config.read_text() == outcome.files[config][1]
    assert edited([]).diff(tmp_path) == ""


def test_a_diff_says_where_the_last_newline_is_missing() -> None:
    assert diff_of("x = 1", "x = 2", "a.py").splitlines()[3:] == [
        "-x = 1",
        "\\ No newline at end of file",
        "+x = 2",
        "\\ No newline at end of file",
    ]


@given(
    text=st.text(alphabet="ab\n\ré ", max_size=40),
    spans=st.lists(st.tuples(*[st.integers(0, 6)] * 4).map(lambda s: Span(*s)), min_size=1, max_size=5),
)
def test_any_edits_leave_the_rest_in_order(
    tmp_path_factory: pytest.TempPathFactory, text: str, spans: list[Span]
) -> None:
    config = tmp_path_factory.mktemp("any") / "net.yaml"
    config.write_bytes(text.encode())
    outcome = edited([finding(edit(config, span, "X"), message=str(n)) for n, span in enumerate(spans)])
    for before, after in outcome.files.values():
        rest = iter(before)
        assert all(character in rest for character in after.replace("X", ""))
