"""The engine: all rules at once, a broken one among them, files of which a part is missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.mmconfig import ConfigDict, ConfigList, ConfigView, Opaque, read_config
from provecfg.rules import RULES, Mark, judge, rule
from provecfg.rules.judge import MOST_FINDINGS

GENERATED = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))


def view_of(folder: Path, text: str) -> ConfigView:
    (folder / "config.py").write_text(text, encoding="utf-8")
    return read_config(folder / "config.py")


@rule("LOSS999", Severity.ERROR)
def broken(facts: Facts) -> Iterator[Mark]:
    """A rule with a bug in it."""
    yield Mark(facts.root, "before the bug")
    raise KeyError("bug")


@rule("LOSS998", Severity.ERROR)
def endless(facts: Facts) -> Iterator[Mark]:
    """A rule that finds something in every item of a hostile config."""
    number = 0
    while True:
        number += 1
        yield Mark(facts.root, f"finding {number}")


def test_all_mistakes_are_reported_at_once_in_file_order(tmp_path: Path) -> None:
    hooks = "custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='less', patience=0)]"
    model = "model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', gamma=2)))"
    findings = judge(view_of(tmp_path, f"{hooks}\n{model}\n"))
    assert [(finding.code, finding.key) for finding in findings] == [
        ("STOP005", "custom_hooks[0].rule"),
        ("STOP009", "custom_hooks[0].patience"),
        ("LOSS023", "model.decode_head.loss_decode.gamma"),
    ]
    assert [(finding.span.row, finding.span.column) for finding in findings if finding.span] == [
        (1, hooks.index("'less'") + 1),
        (1, hooks.index("0)") + 1),
        (2, model.index("2)") + 1),
    ]


def test_a_bug_in_one_rule_is_said_and_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROVECFG_FULL_ERROR", raising=False)
    view = view_of(tmp_path, "custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', patience=0)]\n")
    findings = judge(view, rules=[broken, *RULES])
    assert [finding.code for finding in findings if finding.code != "LOSS999"] == ["STOP009"]
    messages = [finding.message for finding in findings if finding.code == "LOSS999"]
    assert any("KeyError: 'bug'" in message and "mistake in provecfg" in message for message in messages)


def test_a_bug_is_raised_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_FULL_ERROR", "1")
    with pytest.raises(KeyError, match="bug"):
        judge(view_of(tmp_path, "x = 1\n"), rules=[broken])


def test_a_rule_stops_at_a_bounded_number_of_findings(tmp_path: Path) -> None:
    assert len(judge(view_of(tmp_path, "x = 1\n"), rules=[endless])) == MOST_FINDINGS


def test_a_missing_base_does_not_make_missing_keys(tmp_path: Path) -> None:
    view = view_of(
        tmp_path,
        "_base_ = 'absent.py'\n"
        "model = dict(decode_head=dict(type='SegFormerHead'))\n"
        "val_dataloader = dict(dataset=dict(type='BaseSegDataset'))\n",
    )
    assert [finding.code for finding in view.problems] == ["CFG003"]
    assert judge(view) == []


def test_a_phase_that_is_set_in_part_is_told_once(tmp_path: Path) -> None:
    bases = [f"mmseg::_base_/{name}.py" for name in ("models/fcn_r50-d8", "datasets/cityscapes", "default_runtime")]
    loops = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=9)\nval_cfg = test_cfg = dict()\n"
    view = view_of(tmp_path, f"_base_ = {bases}\n{loops}data_preprocessor = dict(size=(512, 1024))\n")
    assert [finding.code for finding in judge(view) if finding.severity is Severity.ERROR] == ["SCHED011"]


def test_an_opaque_value_is_not_judged(tmp_path: Path) -> None:
    view = view_of(
        tmp_path,
        "import os\n"
        "train_dataloader = dict(batch_size=2)\n"
        "optim_wrapper = dict(type='OptimWrapper')\n"
        "model = dict(decode_head=dict(num_classes=4, loss_decode=dict(type='CrossEntropyLoss', "
        "class_weight=os.getcwd(), reduction=os.name, loss_weight=os.getpid())))\n"
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=os.getpid(), val_interval=10**6)\n",
    )
    assert [finding for finding in judge(view) if finding.severity is not Severity.NOTE] == []


def test_a_value_used_twice_is_found_once(tmp_path: Path) -> None:
    view = view_of(
        tmp_path, "val_evaluator = dict(type='IoUMetric', iou_metrics=['IoU'])\ntest_evaluator = val_evaluator\n"
    )
    assert [(finding.code, finding.key) for finding in judge(view)] == [("DATA011", "val_evaluator.iou_metrics[0]")]


def test_a_finding_in_a_base_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("model = dict(decode_head=dict(loss_decode=dict(type='LovaszLoss')))\n")
    view = view_of(tmp_path, "_base_ = 'base.py'\nmodel = dict(decode_head=dict(num_classes=4))\n")
    (finding,) = judge(view)
    assert (finding.code, finding.filename, finding.target) == ("LOSS024", tmp_path / "base.py", tmp_path / "config.py")


WEIRD: list[Any] = [
    *(None, 0, -1, True, "", "x", 3.5, float("nan"), float("inf"), 10**30, b"x", Opaque("no reason")),
    *([], {}, (), [None], [[]], [{}], {1: 2}, {None: 1}, {"type": None}, {"type": 3}, {"type": "FCNHead"}),
    *({"type": "mmdet.DiceLoss"}, ["a", "b"], [1, 2, 3], "auto", "1e400", {"type": ["FCNHead"]}),
]


def test_no_rule_breaks_on_a_value_of_the_wrong_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_FULL_ERROR", "1")
    rng = random.Random(3)
    views = [read_config(path) for path in GENERATED[::4]]
    for _ in range(150):
        view = rng.choice(views)
        values: Any = view.values
        for _ in range(rng.choice([1, 1, 3, 10])):
            values = changed(values, rng)
        judge(replace(view, values=values))


def changed(value: Any, rng: random.Random, depth: int = 0) -> Any:
    """The value with one thing somewhere in it replaced."""
    if not value or not isinstance(value, (dict, list)) or rng.random() < 0.12 * depth:
        odd = rng.choice(WEIRD)
        return ConfigDict(odd) if isinstance(odd, dict) else ConfigList(odd) if isinstance(odd, list) else odd
    if isinstance(value, dict):
        key = rng.choice(list(value))
        return ConfigDict({**value, key: changed(value[key], rng, depth + 1)}, getattr(value, "origins", None))
    index = rng.randrange(len(value))
    return ConfigList([changed(item, rng, depth + 1) if place == index else item for place, item in enumerate(value)])


def test_what_a_class_refuses_of_a_list_is_named_by_list_and_index(tmp_path: Path) -> None:
    crop = "dict(type='RandomCrop', crop_size=(0, 512))"
    (finding,) = judge(view_of(tmp_path, f"train_dataloader = dict(dataset=dict(pipeline=[{crop}]))\n"))
    assert finding.code == "REG106"
    assert finding.message == (
        "RandomCrop refuses crop_size[0]=0: AssertionError: crop_size[0] > 0 and crop_size[1] > 0"
    )
