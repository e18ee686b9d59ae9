"""Reading a text as if it stood at a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.mmconfig import Node, read_config

Write = Callable[..., Path]

CLASSIC = """
_base_ = './bases/a.py'
model = dict(head=dict(channels=2))
stem = '{{ fileBasenameNoExtension }}'
bases/a.py:
model = dict(type='M', head=dict(channels=1))
"""
LAZY = """
from mmengine.config import read_base
with read_base():
    from .bases.a import *
model.update(head=dict(channels=2))
bases/a.py:
model = dict(type='M', head=dict(channels=1))
"""


def keys_and_places(node: Node) -> list[tuple[object, ...]]:
    return [(below.key, below.file, below.span, below.key_span) for below in node.walk()]


@pytest.mark.parametrize("text", [CLASSIC, LAZY], ids=["classic", "lazy"])
def test_a_text_is_read_as_the_same_text_on_disk(write: Write, text: str) -> None:
    path = write(text)
    on_disk = read_config(path)
    assert on_disk.values["model"]["head"]["channels"] == 2
    own = path.read_text(encoding="utf-8")
    path.unlink()
    view = read_config(path, text=own)
    assert view.values == on_disk.values
    assert view.problems == on_disk.problems == ()
    assert view.files == on_disk.files
    assert keys_and_places(view.root) == keys_and_places(on_disk.root)


@pytest.mark.parametrize("text", [CLASSIC, LAZY], ids=["classic", "lazy"])
def test_an_unsaved_base_is_read_instead_of_what_is_on_disk(write: Write, text: str) -> None:
    path = write(text)
    view = read_config(path, unsaved={path.parent / "bases/a.py": "model = dict(type='N', head=dict(channels=1))\n"})
    assert view.values["model"] == {"type": "N", "head": {"channels": 2}}
    assert "type='N'" in view.sources(path.parent / "bases/a.py")


@pytest.mark.parametrize("name", ["config.py", "config.json", "config.yaml"])
def test_a_text_wins_over_the_file(write: Write, name: str) -> None:
    path = write('{"x": 1}' if name != "config.py" else "x = 1", name)
    text = '{"x": 2}' if name != "config.py" else "x = 2"
    before = read_config(path)
    view = read_config(path, text=text)
    assert view.values == {"x": 2}
    assert view.sources(path) == text
    assert before.values == read_config(path).values == {"x": 1}


def test_a_text_is_not_kept_for_the_next_reading(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    values = [read_config(path, text=f"x = {number}").values["x"] for number in (1, 2)]
    assert values == [1, 2]
    assert [problem.code for problem in read_config(path).problems] == ["CFG002"]


def test_a_text_may_stand_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "config.py"
    assert read_config(path, text="x = 1").values == {"x": 1}
    (missing,) = read_config(path, text="_base_ = 'a.py'").problems
    assert (missing.code, missing.filename) == ("CFG003", path)


def test_options_are_merged_into_a_text(tmp_path: Path) -> None:
    view = read_config(tmp_path / "config.py", text="x = dict(y=1, z=2)", cfg_options=[("x.y", 3)])
    assert view.values == {"x": {"y": 3, "z": 2}}


def test_a_text_that_inherits_from_its_own_path_is_a_cycle(write: Write) -> None:
    path = write("x = 1\na.py:\n_base_ = './config.py'\n")
    assert read_config(path).problems == ()
    assert [problem.code for problem in read_config(path, text="_base_ = './a.py'").problems] == ["CFG004"]


@pytest.mark.parametrize(
    ("text", "code", "row"),
    [
        ("x = 1\ny = (", "CFG001", 2),
        ("x = 1\ny = '\0'", "CFG007", 2),
        ("x = 1\r\ny = '\ud800'", "CFG007", 2),
        ("\ufeffx = 1", "CFG007", 1),
        ("#" + "é" * 500_000, "CFG008", 1),
        ("x = 1", "CFG010", 1),
    ],
    ids=["syntax", "null", "surrogate", "byte-order-mark", "too-large", "unsupported-type"],
)
def test_a_text_is_held_to_what_a_file_is(tmp_path: Path, text: str, code: str, row: int) -> None:
    path = tmp_path / ("config.toml" if code == "CFG010" else "config.py")
    (problem,) = read_config(path, text=text).problems
    assert (problem.code, problem.filename) == (code, path)
    assert (problem.span.row if problem.span else 1) == row


def test_newlines_of_a_text_are_as_mmengine_reads_them(tmp_path: Path) -> None:
    view = read_config(tmp_path / "config.py", text="x = '''a\r\nb\rc'''\r\ny = 1")
    assert view.values == {"x": "a\nb\nc", "y": 1}
    assert view.sources(tmp_path / "config.py") == "x = '''a\nb\nc'''\ny = 1"


def test_nothing_is_written_for_a_text(tmp_path: Path) -> None:
    read_config(tmp_path / "config.py", text="x = 1")
    assert os.listdir(tmp_path) == []
