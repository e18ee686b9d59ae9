"""Edits touch what they are about, in the writing of the file they are made in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.findings import Edit
from provecfg.mmconfig import ConfigView, read_config
from provecfg.rules.edits import added, moved, put, removed, renamed, replaced


def edited(view: ConfigView, edits: tuple[Edit, ...]) -> str:
    text = view.sources(view.path)
    starts = [0, *itertools.accumulate(len(line) + 1 for line in text.split("\n"))]
    for edit in sorted(edits, key=lambda change: change.span, reverse=True):
        span = edit.span
        start, end = starts[span.row - 1] + span.column - 1, starts[span.end_row - 1] + span.end_column - 1
        text = text[:start] + edit.text + text[end:]
    return text


@pytest.fixture
def view_of(tmp_path: Path) -> Callable[..., ConfigView]:
    def made(text: str, name: str = "config.py") -> ConfigView:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_config(tmp_path / name)

    return made


def at(view: ConfigView, key: str):  # type: ignore[no-untyped-def]
    node = view.dig(key)
    assert node is not None
    return node


def test_a_value_is_replaced_in_the_quotes_of_its_file(view_of: Callable[..., ConfigView]) -> None:
    view = view_of('a = dict(type="Old", b=1)  # why\n')
    assert edited(view, replaced(at(view, "a.type"), "New")) == 'a = dict(type="New", b=1)  # why\n'


def test_a_computed_value_is_left_to_its_author(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("n = 10\na = dict(end=n * 2, begin=n)\n")
    assert replaced(at(view, "a.end"), 20) == ()
    assert replaced(at(view, "a.begin"), 20) == ()


def test_an_item_on_a_line_of_its_own_goes_with_its_line(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(\n    b=1,\n    c=2,\n    d=3)\n")
    assert edited(view, removed(at(view, "a.c"))) == "a = dict(\n    b=1,\n    d=3)\n"


def test_an_item_between_others_goes_with_its_comma(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(b=1, c=2, d=3)\n")
    assert edited(view, removed(at(view, "a.c"))) == "a = dict(b=1, d=3)\n"


def test_the_last_item_goes_with_the_comma_before_it(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(b=1, c=2)\n")
    assert edited(view, removed(at(view, "a.c"))) == "a = dict(b=1)\n"


def test_a_comment_behind_a_removed_item_stays(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(\n    b=1,  # of b\n    c=2)\n")
    assert "# of b" in edited(view, removed(at(view, "a.b")))


def test_an_item_is_added_in_the_style_of_its_dict(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(type='X')\nb = {'type': 'X'}\n")
    assert edited(view, added(at(view, "a.type"), "by_epoch", False)).startswith("a = dict(type='X', by_epoch=False)")
    assert edited(view, added(at(view, "b.type"), "by_epoch", False)).endswith("b = {'type': 'X', 'by_epoch': False}\n")


def test_an_item_that_is_there_is_set_in_place(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(type='X', by_epoch=True)\n")
    assert edited(view, put(at(view, "a"), "by_epoch", False)) == "a = dict(type='X', by_epoch=False)\n"


def test_an_item_moves_to_another_dict(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(w=0.4, inner=dict(type='X'))\n")
    moving = moved(at(view, "a.w"), at(view, "a.inner"))
    assert edited(view, moving) == "a = dict(inner=dict(type='X', w=0.4))\n"


def test_a_class_is_not_written_as_text(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("from mmseg.models import FCNHead\na = dict(w=dict(type=FCNHead), inner=dict(b='X'))\n")
    assert moved(at(view, "a.w"), at(view, "a.inner")) == ()


def test_a_key_is_renamed_in_every_format(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a = dict(old=1)\nb = {'old': 1}\n")
    assert edited(view, renamed(at(view, "a.old"), "new")).startswith("a = dict(new=1)")
    assert edited(view, renamed(at(view, "b.old"), "new")).endswith("b = {'new': 1}\n")
    view = view_of("a:\n  old: 1  # why\n", "config.yaml")
    assert edited(view, renamed(at(view, "a.old"), "new")) == "a:\n  new: 1  # why\n"
    view = view_of('{"a": {"old": 1}}\n', "config.json")
    assert edited(view, renamed(at(view, "a.old"), "new")) == '{"a": {"new": 1}}\n'


def test_a_value_is_replaced_in_every_format(view_of: Callable[..., ConfigView]) -> None:
    view = view_of("a:\n  b: true  # why\n", "config.yaml")
    assert edited(view, replaced(at(view, "a.b"), False)) == "a:\n  b: false  # why\n"
    view = view_of('{"a": {"b": "x"}}\n', "config.json")
    assert edited(view, replaced(at(view, "a.b"), "y")) == '{"a": {"b": "y"}}\n'
