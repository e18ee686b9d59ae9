"""Heads and their losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provecfg.facts.facts import Facts

FactsOf = Callable[[str], Facts]


@pytest.mark.parametrize(
    ("scope", "heads"), [("default_scope = 'mmseg'\n", 1), ("", 1), ("default_scope = 'mmdet'\n", 0)]
)
def test_heads_are_those_of_a_model_of_mmsegs(facts_of: FactsOf, scope: str, heads: int) -> None:
    assert len(facts_of(f"{scope}model = dict(decode_head=dict(type='FCNHead'))\n").heads) == heads


def test_decode_heads_come_before_auxiliary_ones(facts_of: FactsOf) -> None:
    facts = facts_of("model = dict(auxiliary_head=[dict(), dict()], decode_head=[dict(num_classes=3), dict()])\n")
    assert [head.node.key for head in facts.heads] == [
        "model.decode_head[0]",
        "model.decode_head[1]",
        "model.auxiliary_head[0]",
        "model.auxiliary_head[1]",
    ]
    assert facts.main_head is not None
    assert facts.main_head.node.key == "model.decode_head[0]"  # the last of which the number of classes is known


def test_a_head_without_losses_has_its_classs_own(facts_of: FactsOf) -> None:
    (loss,) = facts_of("model = dict(decode_head=dict(type='FCNHead'))\n").losses
    assert loss.is_default
    assert (loss.kind, loss.is_softmax, loss.get("loss_weight")) == ("CrossEntropyLoss", True, 1.0)


def test_a_head_that_calls_its_losses_in_its_own_way_lists_them_all_the_same(facts_of: FactsOf) -> None:
    facts = facts_of("model = dict(decode_head=dict(type='PointHead', loss_decode=dict(type='DiceLoss')))\n")
    assert facts.losses == ()
    assert [loss.kind for loss in facts.all_losses] == ["DiceLoss"]


def test_the_losses_of_a_head_within_a_head_are_listed(facts_of: FactsOf) -> None:
    kernels = "kernel_generate_head=dict(type='FCNHead', loss_decode=[dict(type='LovaszLoss')])"
    facts = facts_of(f"model = dict(decode_head=dict(type='IterativeDecodeHead', {kernels}))\n")
    assert [loss.kind for loss in facts.all_losses_of("LovaszLoss")] == ["LovaszLoss"]


@pytest.mark.parametrize(
    ("loss", "is_softmax"),
    [
        ("type='CrossEntropyLoss'", True),
        ("type='CrossEntropyLoss', use_sigmoid=True", False),
        ("type='LovaszLoss', loss_type='binary'", False),
        ("type='DiceLoss'", False),
        ("type='DiceLoss', use_sigmoid=False", True),
        ("type='SegDiceLoss'", True),
        ("type='MultiScaleLoss', loss=dict(type='SegLovaszLoss')", True),
        ("type='MultiScaleLoss', loss=dict(type='DiceLoss')", False),
        ("type='MultiScaleLoss'", None),
        ("type='MyLoss'", None),
    ],
)
def test_a_loss_takes_the_softmax_or_sigmoids_or_nobody_knows(
    facts_of: FactsOf, loss: str, is_softmax: bool | None
) -> None:
    facts = facts_of(
        "custom_imports = dict(imports=['provecfg.plugin'])\n"
        f"model = dict(decode_head=dict(type='FCNHead', loss_decode=dict({loss})))\n"
    )
    assert [loss.is_softmax for loss in facts.losses] == [is_softmax]
