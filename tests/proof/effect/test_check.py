"""Keys that change nothing, among those that do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmseg.models import FCNHead
from mmseg.registry import MODELS

from provecfg.proof.declared.declaration import build_declared
from provecfg.proof.effect import check as effect
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


@MODELS.register_module()
class EffectHead(FCNHead):
    """A head with one argument of each kind.

    Args:
        shown: Counts in every prediction.
        ignored: Is read, and nothing becomes of it.
        kept: Is kept, and read only where `is_kept_read` says so.
        is_kept_read: Whether it is.
    """

    def __init__(self, shown: float = 1.0, ignored: float = 1.0, kept: float = 1.0, is_kept_read: bool = False, **more):
        super().__init__(**more)
        self.factor = shown * (ignored > 0 or True)
        self.kept = kept
        self.is_kept_read = is_kept_read

    def forward(self, inputs: Any) -> Any:
        return super().forward(inputs) * (self.factor * self.kept if self.is_kept_read else self.factor)


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
        "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 1.0},
        "shown": 2.0,
        "ignored": 2.0,
        "kept": 2.0,
        "is_kept_read": False,
    },
    "train_cfg": {},
    "test_cfg": {"mode": "whole"},
}


@pytest.fixture
def felt(tmp_path: Path) -> Callable[..., Section]:
    """The section of a small config with changes, each a dotted path and its new value."""

    def check(*, thorough: bool = False, **changes: Any) -> Section:
        config = Config({"default_scope": "mmseg", "model": copy.deepcopy(MODEL)})
        config.merge_from_dict({key.replace("__", "."): value for key, value in changes.items()})
        subject = Subject(tmp_path / "config.py", config, "cpu", None, tmp_path, thorough=thorough)
        return effect.check(subject, build_declared(subject))

    return check


def said(section: Section) -> list[tuple[str, str]]:
    return [(finding.problem.name, finding.key) for finding in section.findings]


def test_a_key_that_changes_nothing_that_is_built_is_dead(felt) -> None:
    section = felt()
    assert said(section) == [("dead-key", "model.decode_head.ignored")]
    assert section.findings[0].message == (
        "EffectHead is the same with ignored=2.0 and with any other value: it has no effect"
    )
    assert section.evidence["dead"] == ["model.decode_head.ignored"]
    assert section.lines[-1].startswith("--thorough would change ")


def test_a_key_that_a_step_and_a_prediction_do_not_feel_is_said_where_asked_for(felt) -> None:
    said_of_head = [item for item in said(felt(thorough=True)) if "decode_head" in item[1]]
    assert said_of_head == [
        ("dead-key", "model.decode_head.ignored"),
        ("key-without-trace", "model.decode_head.kept"),
    ]
    section = felt(thorough=True, model__decode_head__is_kept_read=True)
    assert [item for item in said(section) if "decode_head" in item[1]] == [("dead-key", "model.decode_head.ignored")]


def test_a_multiplier_without_what_it_multiplies_is_dead(felt, tmp_path: Path) -> None:
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
    keys = [key for name, key in said(felt(optim_wrapper=wrapper, **training)) if "decode_head" not in key]
    assert keys == ["optim_wrapper.paramwise_cfg.norm_decay_mult"]
    wrapper["optimizer"]["weight_decay"] = 0.01
    keys = [key for name, key in said(felt(optim_wrapper=wrapper, **training)) if "decode_head" not in key]
    assert keys == []
