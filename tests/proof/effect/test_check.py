"""Keys that change nothing, among those that do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmseg.models import CrossEntropyLoss, FCNHead
from mmseg.registry import MODELS
from torch import nn

from provecfg.proof.declared.construction import build_declared
from provecfg.proof.effect import check as effect
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


@MODELS.register_module()
class EffectLoss(CrossEntropyLoss):
    """A loss with two arguments that it drops.

    Args:
        ignored: Is read by nobody.
        told: Is read by the head that builds the loss.
    """

    def __init__(self, ignored: float = 1.0, told: float = 1.0, **more: Any) -> None:
        super().__init__(**more)


@MODELS.register_module()
class EffectHead(FCNHead):
    """A head with one argument of each kind.

    Args:
        shown: Counts in every prediction.
        ignored: Is taken, and nothing becomes of it.
        mode: Is compared with one text.
        deviation: Of the numbers in a weight, of which nothing else tells.
        power: Counts with `has_power` alone.
        has_power: Whether `power` counts.
    """

    def __init__(
        self,
        shown: float = 1.0,
        ignored: float = 1.0,
        mode: str = "plain",
        deviation: float = 1.0,
        power: int = 1,
        has_power: bool = False,
        **more: Any,
    ) -> None:
        self.told = more["loss_decode"].get("told", 1.0)
        super().__init__(**more)
        self.factor = shown * (ignored > 0 or True) * (2.0 if mode == "double" else 1.0)
        self.exponent = power if has_power else 1
        nn.init.normal_(self.conv_seg.weight, std=deviation)


MODEL: dict[str, Any] = {
    "type": "EncoderDecoder",
    "data_preprocessor": {"type": "SegDataPreProcessor", "size": (64, 64), "pad_val": 0, "seg_pad_val": 255},
    "backbone": {"type": "ResNetV1c", "depth": 18, "base_channels": 8},
    "decode_head": {
        "type": "EffectHead",
        "in_channels": 64,
        "in_index": 3,
        "channels": 8,
        "num_classes": 4,
        "loss_decode": {"type": "EffectLoss", "loss_weight": 1.0, "ignored": 2.0, "told": 2.0},
        "shown": 2.0,
        "ignored": 2.0,
        "mode": "double",
        "deviation": 2.0,
    },
    "train_cfg": {},
    "test_cfg": {"mode": "whole"},
}


HEAD = "model.decode_head.ignored"
LOSS = "model.decode_head.loss_decode.ignored"
DEAD = [HEAD, LOSS]


@pytest.fixture
def section_of(tmp_path: Path) -> Callable[..., Section]:
    """The section of a small config with changes, each a dotted path and its new value."""

    def check(*, thorough: bool = False, **changes: Any) -> Section:
        config = Config({"default_scope": "mmseg", "model": copy.deepcopy(MODEL)})
        config.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
        subject = Subject(tmp_path / "config.py", config, "cpu", None, tmp_path, thorough=thorough)
        return effect.check(subject, build_declared(subject))

    return check


def keys(section: Section) -> list[str]:
    return sorted(finding.key for finding in section.findings)


def test_a_key_that_changes_nothing_that_is_built_is_dead(section_of) -> None:
    section = section_of()
    assert keys(section) == DEAD
    (message,) = (finding.message for finding in section.findings if finding.key == HEAD)
    assert message == "EffectHead is built the same with ignored=2.0 as with 3.0, 4.0, 1.0"
    assert section.is_proved
    assert sorted(section.evidence["dead"]) == DEAD
    assert section.evidence["left"] == []


def test_a_key_is_dead_beside_another_that_turns_it_off(section_of) -> None:
    power = {"model__decode_head__power": 3}
    assert keys(section_of(**power)) == [*DEAD, "model.decode_head.power"]
    assert keys(section_of(**power, model__decode_head__has_power=True)) == DEAD


def test_settings_of_large_parts_are_left_to_a_thorough_proof(section_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect, "_MODULES", 4)
    section = section_of()
    assert keys(section) == [LOSS]
    assert HEAD in section.evidence["left"]
    assert section.lines[-1].startswith(f"--thorough would change {len(section.evidence['left'])} more")
    section = section_of(thorough=True)
    assert keys(section) == DEAD
    assert section.evidence["left"] == []


def test_a_multiplier_without_what_it_multiplies_is_dead(section_of) -> None:
    wrapper = {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.01, "weight_decay": 0.0},
        "paramwise_cfg": {"norm_decay_mult": 0.0, "bias_lr_mult": 2.0},
    }
    training = {
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 10},
        "train_dataloader": {
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "InfiniteSampler"},
            "dataset": {"type": "BaseSegDataset", "data_root": "absent", "metainfo": {"classes": tuple("abcd")}},
        },
    }
    assert keys(section_of(optim_wrapper=wrapper, **training)) == [*DEAD, "optim_wrapper.paramwise_cfg.norm_decay_mult"]
    wrapper["optimizer"]["weight_decay"] = 0.01
    assert keys(section_of(optim_wrapper=wrapper, **training)) == DEAD
