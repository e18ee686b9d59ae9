from __future__ import annotations

from typing import Any

import pytest

from provecfg.proof.effect.settings import alternatives, settings_of

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
    keys = [setting.key for setting in settings_of(PART, "head", {"head.losses[0]"})]
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
    others = alternatives(value)
    assert others
    assert value not in others
    assert {type(other) for other in others} == {type(value)}


@pytest.mark.parametrize("value", [None, [], {}, [None], object()])
def test_what_is_of_no_such_kind_has_no_other_value(value: Any) -> None:
    assert alternatives(value) == ()
