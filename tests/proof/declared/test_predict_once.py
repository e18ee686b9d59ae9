from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("mmseg")
import torch
from torch import nn

from provecfg.proof.declared.predict_once import smallest_crop
from provecfg.proof.declared.small_config import show_crop

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


class Needing(nn.Module):
    """Predicts images of at least, or of just, one size."""

    def __init__(self, least: int = 0, just: int | None = None) -> None:
        super().__init__()
        self.least, self.just = least, just
        self.data_preprocessor = SimpleNamespace(size=(512, 512), size_divisor=None, mean=torch.zeros(4, 1, 1))
        self.test_cfg = {"mode": "whole"}
        self.seen: list[tuple[int, ...]] = []

    def test_step(self, data) -> None:
        shape = tuple(data["inputs"][0].shape)
        self.seen.append(shape)
        assert not self.training
        if shape[1] < self.least or (self.just is not None and shape[1] != self.just):
            raise ValueError(f"{shape} is too small" if self.just is None else f"must be {self.just}, is {shape[1]}")


def test_the_first_crop_that_works_is_taken() -> None:
    model = Needing(least=100)
    assert smallest_crop(model) == ((128, 128), None)
    assert model.seen == [(4, 64, 64), (4, 128, 128)]
    assert model.data_preprocessor.size == (128, 128)
    assert model.training


def test_a_model_of_one_size_is_shown_it() -> None:
    assert smallest_crop(Needing(just=512)) == ((512, 512), None)


def test_a_fault_that_does_not_change_with_the_size_is_tried_twice() -> None:
    class Broken(Needing):
        def test_step(self, data) -> None:
            super().test_step(data)
            raise KeyError("mode")

    model = Broken()
    crop, error = smallest_crop(model)
    assert (crop, repr(error), len(model.seen)) == ((64, 64), "KeyError('mode')", 2)


def test_a_sliding_window_keeps_its_proportions() -> None:
    model = SimpleNamespace(test_cfg={"mode": "slide", "crop_size": (512, 1024), "stride": (256, 2048)})
    show_crop(model, (64, 64))
    assert model.test_cfg == {"mode": "slide", "crop_size": (64, 64), "stride": (32, 128)}


def test_what_is_no_size_is_left_for_the_model_to_refuse() -> None:
    model = SimpleNamespace(test_cfg={"mode": "slide", "crop_size": 512, "stride": 341})
    show_crop(model, (64, 64))
    assert model.test_cfg == {"mode": "slide", "crop_size": 512, "stride": 341}
