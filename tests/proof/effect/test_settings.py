from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from provecfg.proof.effect.settings import alternatives, settings_of, words_of

pytestmark = pytest.mark.stack

PART: dict[str, Any] = {
    "type": "Head",
    "channels": 8,
    "norm_cfg": {"type": "BN", "requires_grad": True},
    "losses": [{"type": "Loss", "weight": 1.0}, {"type": "Loss", "weight": 0.5}],
    "windows": ((1, 2), (3, 4)),
    "unset": None,
}


def test_every_value_is_a_setting_but_names_of_classes_and_parts_of_their_own() -> None:
    keys = [setting.key for setting in settings_of(PART, "head", other_parts={"head.losses[0]"})]
    assert keys == [
        "head.channels",
        "head.norm_cfg.requires_grad",
        "head.losses[1].weight",
        "head.windows[0]",
        "head.windows[1]",
    ]


def test_a_setting_is_changed_in_a_copy() -> None:
    settings = {setting.key: setting for setting in settings_of(PART, "head")}
    assert settings["head.windows[1]"].changed(PART, (5, 6))["windows"] == ((1, 2), (5, 6))
    assert settings["head.losses[0].weight"].changed(PART, 2.0)["losses"][0]["weight"] == 2.0
    assert PART["losses"][0]["weight"] == 1.0


@pytest.mark.parametrize("value", [True, 0, 3, -1, 0.0, 0.5, "same", [1, 2], (0.5, True)])
def test_another_value_is_of_the_same_kind_and_another(value: Any) -> None:
    others = alternatives(value, ["same"])
    assert others
    assert value not in others
    assert {type(other) for other in others} == {type(value)}


@pytest.mark.parametrize("value", [None, [], {}, [None], object()])
def test_what_is_of_no_such_kind_has_no_other_value(value: Any) -> None:
    assert alternatives(value) == []


def test_a_text_is_changed_to_those_that_it_may_be_compared_with() -> None:
    assert alternatives("mean", ["sum", "mean", "none"]) == ["mean_", "sum", "none"]
    assert alternatives(["mean"], ["sum", "mean"]) == [["mean_"], ["sum"], ["mean", "mean"], []]


def test_a_text_that_its_class_does_not_know_may_name_anything_and_is_left_alone() -> None:
    assert alternatives("pictures", ["sum", "mean"]) == []
    assert alternatives(["mean", "pictures"], ["sum", "mean"]) == []


def test_the_words_of_a_class_are_the_short_texts_of_its_code() -> None:
    class Reduced(nn.Module):
        def __init__(self, reduction: str = "mean") -> None:
            super().__init__()
            if reduction not in {"sum", "none"}:
                raise ValueError("is none of those that are taken")
            self.factors = [factor for factor in (1, 2) if reduction != "each"]

    assert set(words_of(Reduced)) >= {"sum", "none", "each"}
    assert not any(" " in word for word in words_of(Reduced))
