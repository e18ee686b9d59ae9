"""Configs with something broken in them, found by chance: reading never raises and stays cheap."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provecfg.mmconfig import PROBLEMS, Opaque, read_config

pytestmark = pytest.mark.slow

SEED = """\
_base_ = ['./base.py']
import math
norm_cfg = dict(type='SyncBN', requires_grad=True)
num_classes = len(['a', 'b']) + 17
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='ResNet', depth=50, norm_cfg=norm_cfg, out_indices=(0, 1, 2, 3)),
    decode_head=dict(
        in_channels=sum([2 ** i for i in range(4, 8)]), num_classes=num_classes, norm_cfg={{_base_.norm}},
        loss_decode=[dict(type='CrossEntropyLoss', loss_weight=1.0), dict(type='DiceLoss', loss_weight=0.5)]),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341), _delete_=True))
custom_keys = {f'backbone.layers.{i}': dict(lr_mult=0.9 ** i, decay_mult=-1e-3) for i in range(4) if i % 2}
for key, value in custom_keys.items():
    value.update(name='{}-%d'.format(key) % 3, n=[*_base_.pipeline, 1][:2])
root = '{{$PROVECFG_TEST_UNSET:data/x}}/{{ fileBasenameNoExtension }}'
def schedule(end, *, power=0.9):
    if end > 10:
        return [dict(type='PolyLR', end=end, power=power)]
    return None
param_scheduler = schedule(80000, power=math.sqrt(0.81)) or 'none'
"""
BASE = "norm = dict(type='BN')\npipeline = [dict(type='A')]\nmodel = dict(test_cfg=dict(mode='whole', x=1))\n"
PIECES_LISTED = (
    "_base_ self model dict list ( ) [ ] { } {{ }} , : = == += ** * - + % // . .. ... ' \" ''' f' \\ \n \n\n \t # @ "
    "lambda: for in if else while True: None 1e999 -1 0 10**9 'a'*9 __class__ import with read_base(): from .base "
    "return yield del not is {{_base_.x}} {{_base_.model}} {{$X:}} {{fileDirname}} _delete_=True é \ufeff \x00 \r"
)
PIECES = PIECES_LISTED.split(" ")
KNOWN = {problem.code for problem in PROBLEMS}

Edit = tuple[int, int, str]
edits = st.lists(
    st.tuples(st.integers(0, len(SEED)), st.integers(0, 60), st.sampled_from(PIECES) | st.text(max_size=5)),
    min_size=1,
    max_size=6,
)


def edited(text: str, changes: list[Edit]) -> str:
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.py").write_text(BASE, encoding="utf-8")
    return tmp_path


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    start = time.process_time()
    view = read_config(path)
    assert time.process_time() - start < 1.0
    assert {problem.code for problem in view.problems} <= KNOWN
    for problem in view.problems:
        assert problem.message.isprintable()
        if problem.span is not None:
            rows = (view.sources(problem.filename) or data.decode("utf-8", "replace")).count("\n") + 1
            assert 1 <= problem.span.row <= problem.span.end_row <= rows
    for node in view.root.walk():
        assert node.key or node.parent is None
        assert isinstance(node.span, tuple | None)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits)
@example([(0, 0, "")])
def test_a_changed_config_never_breaks_the_reader(folder: Path, changes: list[Edit]) -> None:
    check(folder / "config.py", edited(SEED, changes).encode("utf-8", "surrogatepass"))


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["config.yaml", "config.json", "config.py"]), st.binary(max_size=200) | st.text().map(str.encode)
)
def test_any_bytes_never_break_the_reader(folder: Path, name: str, data: bytes) -> None:
    check(folder / name, data)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_swapped_parts_of_the_tree_never_break_the_reader(folder: Path, data: st.DataObject) -> None:
    # Text edits mostly make syntax errors; these always parse.
    text = SEED.replace("{{_base_.norm}}", "_base_.norm")
    tree = ast.parse(text)
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
    sources = [source for node in parts if (source := ast.get_source_segment(text, node)) and "*" not in source[:2]]
    first, second = data.draw(st.sampled_from(sources)), data.draw(st.sampled_from(sources))
    check(folder / "config.py", text.replace(first, second, data.draw(st.integers(1, 3))).encode())


def test_the_seed_itself_is_read_whole(folder: Path) -> None:
    path = folder / "config.py"
    path.write_text(SEED, encoding="utf-8")
    view = read_config(path)
    assert view.problems == ()
    assert not any(isinstance(node.value, Opaque) for node in view.root.walk())
    assert view.values["model"]["decode_head"]["norm_cfg"] == {"type": "BN"}
