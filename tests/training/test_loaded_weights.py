from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from provecfg.training.loaded_weights import LoadedWeightsHook, left_out


def model(classes: int, **parts: nn.Module) -> nn.Module:
    head = nn.ModuleDict({"convs": nn.Conv2d(3, 4, 1), "conv_seg": nn.Conv2d(4, classes, 1)})
    return nn.ModuleDict({"backbone": nn.Conv2d(3, 3, 1), "decode_head": head, **parts})


def lines(own: nn.Module, other: nn.Module) -> list[str]:
    return list(left_out(own.state_dict(), other.state_dict()))


def test_the_head_that_is_dropped_is_named() -> None:
    assert lines(model(4), model(19)) == [
        "4 of 6 tensors of the model are loaded",
        "decode_head.conv_seg is dropped and starts at random: 19x4x1x1 there, 4x4x1x1 here",
    ]


def test_of_a_checkpoint_that_fits_nothing_is_said() -> None:
    assert lines(model(4), model(4, neck=nn.Conv2d(1, 1, 1))) == []


def test_parts_that_the_checkpoint_has_not_are_named() -> None:
    assert lines(model(4, neck=nn.Conv2d(1, 1, 1)), model(4)) == [
        "6 of 8 tensors of the model are loaded",
        "not in it, and so at random: neck",
    ]


def said(resume: bool, checkpoint: dict[str, Any]) -> list[str]:
    notes: list[str] = []
    runner: Any = SimpleNamespace(model=model(4), _resume=resume, _load_from="old.pth")
    LoadedWeightsHook(notes.append).after_load_checkpoint(runner, checkpoint)
    return notes


def test_it_is_said_of_weights_that_are_loaded_and_not_of_a_resumed_run() -> None:
    weights = {f"module.{name}": tensor for name, tensor in model(19).state_dict().items()}
    checkpoint = {"state_dict": {**weights, "meta": torch.Size([])}}
    assert said(False, checkpoint)[0] == "old.pth: 4 of 6 tensors of the model are loaded"
    assert said(True, checkpoint) == []
