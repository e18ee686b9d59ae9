"""The real server in a process of its own, spoken to by a client over its pipes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lsprotocol import types

from tests.editor.client import Editor, editor

Steps = Callable[[Callable[[Editor], Awaitable[None]]], None]

BASE = """\
default_scope = "mmseg"
model = dict(
    type="EncoderDecoder",
    decode_head=dict(type="FCNHead", in_channels=64, channels=32, num_classes=19, in_index=0),
)
"""
BAD = BASE.replace("num_classes", "num_clases")


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """Runs steps in an editor that has a server."""

    def run(what: Callable[[Editor], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with editor(tmp_path) as started:
                await what(started)

        asyncio.run(whole())

    return run


def position(text: str, word: str) -> types.Position:
    """Where a word begins."""
    before = text[: text.index(word)]
    return types.Position(before.count("\n"), len(before.rpartition("\n")[2]))


def applied(text: str, edits: list[types.TextEdit]) -> str:
    """A text with edits made, of which every character is one unit."""
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:row]) for row in range(len(lines) + 1)]
    for edit in sorted(edits, key=lambda edit: (edit.range.start.line, edit.range.start.character), reverse=True):
        start = starts[edit.range.start.line] + edit.range.start.character
        end = starts[edit.range.end.line] + edit.range.end.character
        text = text[:start] + edit.new_text + text[end:]
    return text


def test_what_is_typed_is_judged_mended_and_explained_before_it_is_saved(steps: Steps, tmp_path: Path) -> None:
    path = tmp_path / "config.py"

    async def what(editor: Editor) -> None:
        (finding,) = [item for item in await editor.open(path, BAD) if item.code == "REG002"]
        assert finding.range.start == position(BAD, "num_clases")
        assert finding.severity is types.DiagnosticSeverity.Error

        page = await editor.hover(path, finding.range.start.line, finding.range.start.character + 2)
        assert page is not None
        assert page.startswith("**REG002** `unknown-argument` (error)")

        quick, everything = await editor.actions(path, finding.range)
        assert (quick.kind, quick.is_preferred) == ("quickfix", True)
        assert everything.kind == "source.fixAll.provecfg"
        for action in (quick, everything):
            assert action.edit is not None
            assert action.edit.changes is not None
            assert applied(BAD, list(action.edit.changes[path.as_uri()])) == BASE
        assert not path.exists()

        assert "REG002" not in {item.code for item in await editor.change(path, BASE, 2)}

    steps(what)


def test_a_finding_behind_wide_characters_is_placed_in_the_editors_units(steps: Steps, tmp_path: Path) -> None:
    text = 'default_scope = "mmseg"\nmodel = dict(a="\N{GRINNING FACE}", type="EncoderDecoderr")\n'

    async def what(editor: Editor) -> None:
        diagnostics = await editor.open(tmp_path / "config.py", text)
        (finding,) = [item for item in diagnostics if item.code == "REG001"]
        assert finding.range.start.character == text.split("\n")[1].index('"EncoderDecoderr"') + 1

    steps(what)


def test_a_child_is_judged_with_its_base_as_it_is_being_typed(steps: Steps, tmp_path: Path) -> None:
    base, child = tmp_path / "base.py", tmp_path / "child.py"
    base.write_text(BASE)
    text = '_base_ = ["base.py"]\nmodel = dict(decode_head=dict(channels=16))\n'

    async def what(editor: Editor) -> None:
        assert "REG002" not in {item.code for item in await editor.open(child, text)}
        await editor.open(base, BAD)
        diagnostics = await editor.change(child, text + "\n", 2)
        (finding,) = [item for item in diagnostics if item.code == "REG002"]
        assert finding.range.start.line == 0
        assert finding.related_information is not None
        assert finding.related_information[0].location.uri == base.as_uri()

        (place,) = await editor.definition(child, 0, 13)
        assert place.uri == base.as_uri()
        (place,) = await editor.definition(child, 1, text.split("\n")[1].index("16"))
        assert (place.uri, place.range.start.line) == (base.as_uri(), 3)

    steps(what)


def test_completion_knows_the_class_that_a_base_names_while_the_text_does_not_parse(
    steps: Steps, tmp_path: Path
) -> None:
    (tmp_path / "base.py").write_text(BASE)
    child = tmp_path / "child.py"
    text = '_base_ = ["base.py"]\nmodel = dict(decode_head=dict(num_classes=4, \n'

    async def what(editor: Editor) -> None:
        await editor.open(child, text)
        arguments = await editor.completions(child, 1, len(text.split("\n")[1]))
        assert {"num_convs", "align_corners", "loss_decode"} <= set(arguments)
        assert "num_classes" not in arguments
        await editor.change(child, '_base_ = ["base.py"]\ntrain_cfg = dict(type="', 2)
        assert await editor.completions(child, 1, 23) == [
            "EpochBasedTrainLoop",
            "IterBasedTrainLoop",
            "TestLoop",
            "ValLoop",
        ]
        await editor.change(child, '_base_ = ["base.py"]\n\ntrain_cfg = dict(type="', 3)
        assert "optim_wrapper" in await editor.completions(child, 1, 0)

    steps(what)


def test_a_study_is_judged_and_completed(steps: Steps, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = "name: mine\nmodels: [segformr]\nearly_stopping:\n  pat\nlosses:\n  auxiliary:\n    - fo\n"

    async def what(editor: Editor) -> None:
        diagnostics = await editor.open(path, text)
        assert diagnostics[0].range.start == types.Position(1, 9)
        assert "did you mean" in diagnostics[0].message
        assert {"patience", "min_delta", "monitor"} <= set(await editor.completions(path, 3, 5))
        assert {"focal", "lovasz", "boundary"} <= set(await editor.completions(path, 6, 8))
        assert "hrnet_hr48" in await editor.completions(path, 1, 12)
        hover = await editor.hover(path, 2, 3)
        assert hover == "null for runs that always go to the end."

    steps(what)


def test_a_fix_asked_for_right_after_a_key_is_one_of_the_text_as_it_is(steps: Steps, tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    moved = f"# a line above\n{BAD}"

    async def what(editor: Editor) -> None:
        await editor.open(path, BAD)
        editor.type(path, moved, 2)
        at = position(moved, "num_clases")
        quick, *_ = await editor.actions(path, types.Range(at, at))
        assert quick.edit is not None
        assert quick.edit.changes is not None
        assert applied(moved, list(quick.edit.changes[path.as_uri()])) == f"# a line above\n{BASE}"

    steps(what)


def test_nothing_is_offered_in_what_is_no_config_and_no_study(steps: Steps, tmp_path: Path) -> None:
    async def what(editor: Editor) -> None:
        await editor.open(tmp_path / "train.py", "import torch\nmo\nx = dict(type='Adam', lr=1)\n")
        assert await editor.completions(tmp_path / "train.py", 1, 2) == []
        assert await editor.hover(tmp_path / "train.py", 2, 12) is None
        await editor.open(tmp_path / "compose.yaml", "services:\n  web: {}\n\n")
        assert await editor.completions(tmp_path / "compose.yaml", 2, 0) == []

    steps(what)


def test_what_is_no_config_is_left_alone_and_broken_settings_are_said(steps: Steps, tmp_path: Path) -> None:
    async def what(editor: Editor) -> None:
        assert await editor.open(tmp_path / "train.py", "import torch\nmodel = torch.nn.Linear(1, 2)\n") == []
        assert await editor.open(tmp_path / "other.yaml", "services:\n  web: {}\n") == []
        (tmp_path / "pyproject.toml").write_text("[tool.provecfg]\nignore = 3\n")
        assert await editor.open(tmp_path / "config.py", BAD) == []
        assert "pyproject.toml" in editor.messages[0]

    steps(what)
