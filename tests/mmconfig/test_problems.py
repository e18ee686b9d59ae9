"""The `CFG` codes: each has its examples, its place and its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.findings import Problem, Severity, Span
from provecfg.mmconfig import PROBLEMS, Opaque, read_config

# What a file of this text cannot show: the file is missing, has other bytes, or it takes options.
NOT_BY_TEXT = {"CFG002", "CFG007", "CFG022"}


def test_codes_and_names_are_unique_and_in_order() -> None:
    assert [problem.code for problem in PROBLEMS] == [f"CFG{n:03d}" for n in range(1, len(PROBLEMS) + 1)]
    assert len({problem.name for problem in PROBLEMS}) == len(PROBLEMS)
    assert all(problem.why and problem.summary.endswith(".") for problem in PROBLEMS)


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.code not in NOT_BY_TEXT], ids=lambda p: p.code)
def test_the_bad_example_has_this_problem_only_and_the_good_one_none(
    problem: Problem, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROVECFG_NO_SUCH_VARIABLE", raising=False)
    bad = read_config(write(problem.bad))
    assert {finding.code for finding in bad.problems if finding.severity >= problem.severity} == {problem.code}
    assert all(finding.severity is problem.severity for finding in bad.problems if finding.code == problem.code)
    assert bad.is_whole == (problem.severity is not Severity.ERROR)
    assert read_config(write(problem.good)).problems == ()


PLACES = {
    "syntax": ("a = 1\nb = = 2\n", "CFG001", Span(2, 5, 2, 6)),
    "missing_base": ("_base_ = ['a.py',\n          'none.py']\na.py:\n", "CFG003", Span(2, 11, 2, 20)),
    "undefined_name": ("é = dict(a=nowhere)\n", "CFG011", Span(1, 12, 1, 19)),
    "failing": ("a = dict(\n    b=1 / 0)\n", "CFG012", Span(2, 7, 2, 12)),
    "clash": ("_base_ = 'a.py'\nm = dict(n=dict(x=1))\na.py:\nm = dict(n=[])\n", "CFG006", Span(2, 12, 2, 21)),
    "unread_value": ("import os\na = [1, os.getcwd()]\n", "CFG014", Span(2, 9, 2, 20)),
    "variable": ("a = 1\nb = '{{$PROVECFG_TEST_UNSET:}}'\n", "CFG016", Span(2, 6, 2, 8)),
    "reserved": ("a = 1\ntext = 'x'\n", "CFG015", Span(2, 1, 2, 5)),
    "after_substitution": ("a = '{{ fileBasename }}'; b = nowhere\n", "CFG011", Span(1, 31, 1, 38)),
    "base_reference": ("_base_ = 'a.py'\nx = [1, {{_base_.y}}]\na.py:\n", "CFG011", Span(2, 9, 2, 21)),
    "late_reference": ("_base_ = 'a.py'\nx = '{{_base_.y}}/z'\na.py:\ny = 1\n", "CFG020", Span(2, 5, 2, 21)),
}


@pytest.mark.parametrize(("text", "code", "span"), PLACES.values(), ids=PLACES)
def test_a_problem_stands_where_it_is_written(
    text: str, code: str, span: Span, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROVECFG_TEST_UNSET", raising=False)
    path = write(text)
    (problem,) = read_config(path).problems
    assert (problem.code, problem.span, problem.filename) == (code, span, path)


def test_a_problem_of_a_base_names_the_config_that_was_asked_for(write: Callable[..., Path]) -> None:
    path = write("_base_ = 'a.py'\na.py:\nx = 1 / 0\n")
    (problem,) = read_config(path).problems
    assert (problem.filename.name, problem.target, problem.span) == ("a.py", path, Span(1, 5, 1, 10))


def test_a_problem_reads_well(write: Callable[..., Path]) -> None:
    path = write("_base_ = 'a.py'\nm = dict(n=dict(x=1))\nk = size\na.py:\nm = dict(n=[1])\nsize = 2\n")
    clash, undefined = read_config(path).problems
    assert clash.message == "m.n is a dict here and of type list in the base"
    assert clash.hint == "set _delete_=True in it to replace the base's"
    assert clash.key == "m.n"
    assert undefined.message == "name 'size' is not defined"
    assert undefined.hint == "a variable of the base is _base_.size here"


@pytest.mark.parametrize("name", ["none.py", "none.txt", "sub/none.py"])
def test_a_missing_config_is_one_error(name: str, tmp_path: Path) -> None:
    view = read_config(tmp_path / name)
    assert [problem.code for problem in view.problems] == ["CFG002"]
    assert view.values == {}
    assert view.files == (tmp_path / name,)
    assert view.root.span is None


@pytest.mark.parametrize(
    "data", [b"a = '\xe9'", b"\xff\xfea\x00", b"a = 1\x00", b"\xef\xbb\xbfa = 1", b"a = '\xed\xa0\x80'"]
)
def test_a_file_that_is_not_plain_utf8_is_one_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_bytes(data)
    assert [problem.code for problem in read_config(path).problems] == ["CFG007"]


def test_any_kind_of_newline_is_read_as_mmengine_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_bytes(b"a = 1\r\nb = [\r    2]\r\n")
    view = read_config(path)
    assert view.values == {"a": 1, "b": [2]}
    assert view.sources(path) == "a = 1\nb = [\n    2]\n"


def test_what_cannot_be_known_is_opaque_in_its_place(write: Callable[..., Path]) -> None:
    text = (
        "import socket\nname = socket.gethostname()\nd = dict(work_dir='runs/' + name, ok=1)\n"
        "for x in name:\n    y = x\n"
    )
    view = read_config(write(text))
    values = view.values
    assert {problem.severity for problem in view.problems} == {Severity.NOTE}
    assert values["d"]["ok"] == 1
    for value in (values["name"], values["d"]["work_dir"], values["x"], values["y"]):
        assert isinstance(value, Opaque)
        assert value.reason == "socket.gethostname() is not run"


def test_an_unknown_condition_hides_what_either_branch_sets(write: Callable[..., Path]) -> None:
    view = read_config(write("import os\nif os.getcwd():\n    a = 1\nelse:\n    b = 2\nc = 3\n"))
    assert isinstance(view.values["a"], Opaque)
    assert isinstance(view.values["b"], Opaque)
    assert view.values["c"] == 3


def test_a_message_holds_no_control_characters_and_is_short(write: Callable[..., Path]) -> None:
    path = write("_base_ = 'a\\x1b[31m\\x00" + "b" * 1000 + ".py'\n")
    (problem,) = read_config(path).problems
    assert problem.message.isprintable()
    assert len(problem.message) < 400


def test_values_that_contain_themselves_are_told_by_name(write: Callable[..., Path]) -> None:
    problems = read_config(write("a = []\na.append(a)\nmodel = dict(a=a)\n")).problems
    assert [(problem.code, problem.key) for problem in problems] == [("CFG008", "a"), ("CFG008", "model")]
