from __future__ import annotations

import pytest

from provecfg.editor.cursor import Cursor, cursor_at, without_variable


def at_bar(text: str) -> Cursor:
    """The cursor where a `|` stands, which is taken out."""
    offset = text.index("|")
    return cursor_at(text[:offset] + text[offset + 1 :], offset)


@pytest.mark.parametrize(
    ("text", "path", "key", "prefix", "in_text"),
    [
        ("mod|", (), None, "mod", False),
        ("model = dict(|)", ("model",), None, "", False),
        ("model = dict(type='Enc|')", ("model",), "type", "Enc", True),
        ("model = dict(type='Enc|", ("model",), "type", "Enc", True),
        ("model = {'type': 'E|'}", ("model",), "type", "E", True),
        ("model = dict(decode_head=dict(type='FCNHead', num|", ("model", "decode_head"), None, "num", False),
        ("model = dict(loss_decode=[dict(a=1), dict(b|)])", ("model", "loss_decode", 1), None, "b", False),
        ("model = dict(\n    # a comment with dict(\n    a=1, b|\n)", ("model",), None, "b", False),
        ("train_pipeline = [dict(type='Resize', scale=(1, 2)), dict(type='|", ("train_pipeline", 1), "type", "", True),
        ("a = dict(x=dict(\nmodel = dict(b|", ("model",), None, "b", False),
        ("model = dict(a=(1, 2), b=x[0], c|)", ("model",), None, "c", False),
        ("model = dict(a='it''s (', c|)", ("model",), None, "c", False),
    ],
)
def test_where_the_cursor_is_in_a_text_that_need_not_parse(
    text: str, path: tuple[str | int, ...], key: str | None, prefix: str, in_text: bool
) -> None:
    cursor = at_bar(text)
    assert (cursor.path, cursor.key, cursor.prefix, cursor.in_text) == (path, key, prefix, in_text)


def test_what_follows_the_cursor_is_known_too() -> None:
    cursor = at_bar("model = dict(decode_head=dict(nu|, type='FCNHead', align_corners=False))")
    assert isinstance(cursor.around, dict)
    assert cursor.around["type"] == "FCNHead"
    assert "align_corners" in cursor.around


def test_a_path_is_written_as_findings_write_it() -> None:
    assert at_bar("model = dict(decode_head=[dict(loss_decode=dict(|").dotted == "model.decode_head[0].loss_decode"


def test_every_offset_of_a_config_has_a_cursor() -> None:
    text = "_base_ = ['a.py']\nmodel = dict(head=dict(type='X', n=[1, 2]),\n  b={'c': 1})\n"
    for offset in range(len(text) + 1):
        cursor = cursor_at(text, offset)
        assert text[: cursor.start] + cursor.prefix == text[:offset]


def test_a_variable_is_taken_out_and_no_line_moves() -> None:
    text = "a = 1\nmodel = dict(\n  b=\n\nc = 2"
    assert without_variable(text, 2) == "a = 1\n\n\n\nc = 2"
