from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from provecfg.proof.memory.meta_values import MetaValues

pytestmark = pytest.mark.stack

CLASSES = 5


class Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.values = MetaValues(CLASSES)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.values.run(func, args, kwargs or {})


def unknown(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def test_what_shapes_decide_stays_known() -> None:
    with Watch() as watch:
        sizes = torch.tensor([(4, 6), (2, 3)]).to("meta")
        areas = sizes.prod(1)

        assert [int(area) for area in areas] == [24, 6]
        assert int(torch.cat((areas.new_zeros(1), areas.cumsum(0)))[-1]) == 30
        assert bool(areas.sum() == 30)
    assert watch.values.assumed == {}


def test_a_known_mask_picks_as_many_as_it_holds() -> None:
    with Watch() as watch:
        weights = unknown(10, 10).new_zeros(10)
        weights[torch.arange(3, device="meta")] = 1.0

        assert unknown(10, 4)[weights > 0].shape == (3, 4)
        assert (weights > 0).nonzero().tolist() == [[0], [1], [2]]
    assert watch.values.assumed == {}


def test_an_unknown_mask_is_taken_as_full() -> None:
    with Watch() as watch:
        mask = unknown(2, 8, 8) > 0

        assert unknown(3, 2, 8, 8)[:, mask].shape == (3, 128)
        assert mask.nonzero().shape == (128, 3)
        assert unknown(2, 8, 8).masked_select(mask).shape == (128,)
    assert set(watch.values.assumed) == {"index", "nonzero", "masked_select"}


def test_writing_something_unknown_makes_views_of_it_unknown() -> None:
    with Watch() as watch:
        numbers = torch.zeros(4, device="meta")
        tail = numbers[2:]
        assert watch.values.values_of(tail) is not None

        numbers[0:1] = unknown(1)

        assert watch.values.values_of(tail) is None
        assert float(tail[0]) == 1.0
    assert watch.values.assumed == {"_local_scalar_dense": 1}


def test_conditions_hold_and_numbers_differ() -> None:
    with Watch():
        number = unknown(3).sum()

        assert bool(number > 7)
        assert not bool(number == 0)
        assert int(number) == 1


def test_labels_hold_every_class() -> None:
    with Watch():
        assert torch.unique(unknown(16, 16, dtype=torch.int64)).shape == (CLASSES,)


def test_real_and_missing_tensors_go_together() -> None:
    with Watch() as watch:
        moved = torch.arange(3).to("meta")

        assert watch.values.values_of(moved).tolist() == [0, 1, 2]  # type: ignore[union-attr]
        assert (unknown(3, 3) + torch.ones(3)).is_meta


def test_random_numbers_are_unknown() -> None:
    with Watch() as watch:
        assert watch.values.values_of(torch.rand(2, device="meta")) is None
