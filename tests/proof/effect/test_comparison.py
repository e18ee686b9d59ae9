from __future__ import annotations

import functools
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from provecfg.proof.effect.comparison import is_same

pytestmark = pytest.mark.stack


class Holder:
    """Anything, with what it is given."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.myself = self


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def adding(number: int) -> Any:
    return lambda other: other + number


def layer(value: float) -> nn.Module:
    linear = nn.Linear(2, 2)
    nn.init.constant_(linear.weight, value)
    nn.init.constant_(linear.bias, value)
    return linear


@pytest.mark.parametrize(
    "make",
    [
        lambda value: value,
        lambda value: Holder(1, value),
        lambda value: {"a": [value]},
        lambda value: torch.full((2, 2), float(value)),
        lambda value: np.full((2, 2), value),
        lambda value: layer(float(value)),
        adding,
        lambda value: functools.partial(max, value),
        lambda value: Holder(value).__init__,
    ],
)
def test_what_was_made_of_the_same_is_the_same_and_of_another_is_not(make: Any) -> None:
    assert is_same(make(300), make(300))
    assert not is_same(make(300), make(301))


def test_the_numbers_of_tensors_count_where_they_are_asked_for() -> None:
    assert is_same(layer(1.0), layer(2.0), with_numbers=False)
    assert not is_same(layer(1.0), nn.Linear(2, 3), with_numbers=False)


def test_what_needs_no_gradient_is_not_what_does() -> None:
    assert not is_same(nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2), requires_grad=False))


@pytest.mark.parametrize("make", [lambda: Slotted(1), lambda: random.Random(1), lambda: iter([1])])
def test_what_cannot_be_looked_into_is_never_called_the_same(make: Any) -> None:
    assert not is_same(make(), make())
