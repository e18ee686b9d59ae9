"""Hooks, and the metrics that they go by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provecfg.facts.facts import Facts
from provecfg.facts.metrics import meant_key

FactsOf = Callable[[str], Facts]

PLUGIN = "custom_imports = dict(imports=['provecfg.plugin'])\n"


def test_a_hook_that_inherits_from_a_family_is_of_it(facts_of: FactsOf) -> None:
    facts = facts_of(
        f"{PLUGIN}default_hooks = dict(checkpoint=dict(type='PlainCheckpointHook'))\n"
        "custom_hooks = [dict(type='ResumableEarlyStoppingHook'), dict(type='EMAHook'), dict(type='MyHook')]\n"
    )
    assert [hook.key for hook in facts.early_stopping] == ["custom_hooks[0]"]
    assert [hook.key for hook in facts.checkpoints] == ["default_hooks.checkpoint"]


def test_the_default_checkpoint_hook_needs_no_type(facts_of: FactsOf) -> None:
    facts = facts_of("default_hooks = dict(checkpoint=dict(interval=4000, save_best=['mIoU', 'auto']))\n")
    assert [hook.key for hook in facts.checkpoints] == ["default_hooks.checkpoint"]
    assert [(metric.name, metric.node.key) for metric in facts.best_metrics] == [
        ("mIoU", "default_hooks.checkpoint.save_best[0]")
    ]


def test_a_metric_that_is_no_name_is_not_watched(facts_of: FactsOf) -> None:
    hooks = "dict(type='EarlyStoppingHook', monitor={})"
    facts = facts_of(f"custom_hooks = [{hooks.format(repr('mIoU'))}, {hooks.format(3)}]\n")
    assert [(metric.hook.key, metric.name) for metric in facts.monitored_metrics] == [("custom_hooks[0]", "mIoU")]


@pytest.mark.parametrize(
    ("evaluator", "keys"),
    [
        ("dict(type='IoUMetric')", {"aAcc", "mIoU", "mAcc"}),
        ("[dict(type='IoUMetric', iou_metrics=['mDice'], prefix='val')]", {"val/aAcc", "val/mDice", "val/mAcc"}),
        ("dict(type='Evaluator', metrics=[dict(type='IoUMetric')])", {"aAcc", "mIoU", "mAcc"}),
        ("[dict(type='IoUMetric'), dict(type='MyMetric')]", None),
        ("None", None),
    ],
)
def test_what_a_validation_gives_is_known_if_every_evaluator_is(
    facts_of: FactsOf, evaluator: str, keys: set[str] | None
) -> None:
    assert facts_of(f"val_evaluator = {evaluator}\n").metric_keys == keys


@pytest.mark.parametrize(
    ("name", "key"), [("mIoU", "val/mIoU"), ("test/miou", "val/mIoU"), ("val/mIou", "val/mIoU"), ("loss", None)]
)
def test_a_name_means_the_same_metric_under_its_prefix_or_one_that_is_spelt_alike(name: str, key: str | None) -> None:
    assert meant_key(name, frozenset({"val/mIoU", "val/aAcc"})) == key
