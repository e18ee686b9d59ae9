from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mmseg")
from mmseg.models.losses import CrossEntropyLoss, LovaszLoss

from provecfg.mmconfig import read_config
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.inheritance import leftovers

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

BASE = """
model = dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.8, class_weight=[1.0, 2.0], use_sigmoid=False))
custom_hooks = [dict(type='EMAHook')]
"""


@pytest.fixture
def found(tmp_path: Path):
    """The findings of a config that inherits, whose loss was built as the class given."""

    def judge(config: str, loss: type) -> list[tuple[str, str, str]]:
        (tmp_path / "base.py").write_text(BASE)
        path = tmp_path / "config.py"
        path.write_text(f"_base_ = ['base.py']\n{config}")
        parts = Parts(built={"model.loss_decode": ("model", loss)})
        return [(one.problem.name, one.key, one.message) for one in leftovers(read_config(path), parts)]

    return judge


def test_another_loss_keeps_what_was_said_for_the_old_one(found) -> None:
    assert found("model = dict(loss_decode=dict(type='LovaszLoss', per_image=True))\n", LovaszLoss) == [
        (
            "inherited-argument",
            "model.loss_decode",
            "LovaszLoss is built with loss_weight=0.8, class_weight=[1.0, 2.0], said for CrossEntropyLoss in base.py",
        )
    ]


@pytest.mark.parametrize(
    ("config", "loss"),
    [
        ("model = dict(loss_decode=dict(_delete_=True, type='LovaszLoss', per_image=True))\n", LovaszLoss),
        ("model = dict(loss_decode=dict(loss_weight=0.5))\n", CrossEntropyLoss),
        ("model = dict(loss_decode=dict(type='CrossEntropyLoss'))\n", CrossEntropyLoss),
        ("model = dict(loss_decode=dict(type='LovaszLoss', loss_weight=1.0, class_weight=None))\n", LovaszLoss),
    ],
    ids=["deleted", "same loss", "same type", "all said anew"],
)
def test_nothing_is_left_over(found, config: str, loss: type) -> None:
    assert found(config, loss) == []


def test_a_list_of_hooks_drops_the_bases(found) -> None:
    assert found("custom_hooks = [dict(type='EarlyStoppingHook')]\n", CrossEntropyLoss) == [
        ("dropped-hook", "custom_hooks", "custom_hooks replaces the list of base.py: EMAHook does not run")
    ]


@pytest.mark.parametrize(
    "hooks",
    [
        "custom_hooks = [dict(type='EMAHook'), dict(type='EarlyStoppingHook')]\n",
        "custom_hooks = {{_base_.custom_hooks}} + [dict(type='EarlyStoppingHook')]\n",
        "custom_hooks = []\n",
    ],
    ids=["repeated", "added to", "emptied on purpose"],
)
def test_hooks_that_are_kept_or_removed_on_purpose(found, hooks: str) -> None:
    assert found(hooks, CrossEntropyLoss) == []
