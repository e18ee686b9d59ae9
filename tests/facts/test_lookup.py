"""Values, arguments and classes of a config."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provecfg.facts.facts import Facts
from provecfg.facts.lookup import UNKNOWN, entries, kind_of
from provecfg.mmconfig import DottedName

FactsOf = Callable[[str], Facts]


def test_a_value_that_only_running_would_tell_is_unknown(facts_of: FactsOf) -> None:
    facts = facts_of("import os\ntrain_cfg = dict(max_iters=os.getpid(), val_interval=10)\n")
    loop = facts.section("train_cfg")
    assert facts.value(loop, "max_iters") is UNKNOWN
    assert facts.value(loop, "val_interval") == 10
    assert facts.value(loop, "val_begin", 1) == 1
    assert facts.value(None, "val_begin", 1) == 1
    assert not UNKNOWN


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_classes", 4), ("dropout_ratio", 0.1), ("channels", UNKNOWN), ("no_such_argument", UNKNOWN)],
)
def test_an_argument_is_what_is_set_else_the_classs_default(facts_of: FactsOf, name: str, value: object) -> None:
    facts = facts_of("model = dict(decode_head=dict(type='FCNHead', num_classes=4))\n")
    assert facts.argument(facts.get("model.decode_head"), name) == value


def test_the_argument_of_a_class_that_nobody_knows_is_unknown(facts_of: FactsOf) -> None:
    facts = facts_of("model = dict(decode_head=dict(type='MyHead', num_classes=4))\n")
    head = facts.get("model.decode_head")
    assert facts.class_of(head) is None
    assert facts.argument(head, "num_classes") == 4
    assert facts.argument(head, "dropout_ratio") is UNKNOWN


@pytest.mark.parametrize(
    ("text", "count"), [("a = [dict(), dict()]", 2), ("a = dict()", 1), ("a = None", 0), ("a = 'b'", 0), ("b = 1", 0)]
)
def test_one_dict_stands_for_a_list_of_it(facts_of: FactsOf, text: str, count: int) -> None:
    assert len(entries(facts_of(f"{text}\n").get("a"))) == count


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DiceLoss", "DiceLoss"),
        ("mmseg.DiceLoss", "DiceLoss"),
        ("mmdet.DiceLoss", "mmdet.DiceLoss"),
        (DottedName("mmseg.models.losses.DiceLoss"), "DiceLoss"),
        (None, ""),
    ],
)
def test_a_class_of_mmseg_is_known_by_its_name_alone(name: object, kind: str) -> None:
    assert kind_of(name) == kind
