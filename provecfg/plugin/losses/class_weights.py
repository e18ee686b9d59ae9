"""One number a class: checked when a loss is built, and against the logits when it is called."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def checked_class_values(values: Sequence[float], name: str) -> tuple[float, ...]:
    """The values as floats.

    Raises:
        ValueError: There are none, or one is negative or not finite; names the argument and the value.
    """
    checked = tuple(float(v) for v in values)
    if not checked:
        raise ValueError(f"{name} is empty: give one number a class, or None")
    for index, value in enumerate(checked):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}[{index}] is {value}, must be a finite number >= 0")
    return checked


def class_tensor(values: tuple[float, ...], logits: Tensor, name: str) -> Tensor:
    """The values as a (C,) tensor of the logits' dtype and device.

    Raises:
        ValueError: Their number is not that of the logits' classes; names both.
    """
    if len(values) != logits.shape[1]:
        raise ValueError(f"{name} has {len(values)} values, the logits have {logits.shape[1]} classes")
    return class_constants(values, logits)


def class_constants(values: Sequence[float], like: Tensor) -> Tensor:
    """The values as a (C,) tensor of another's dtype and device.

    On CUDA without waiting for it: a copy of numbers of the host's waits until all work before it is done, and may do
    so also where it is asked not to (CUDA Runtime API, "API synchronization behavior"); filling never does.
    """
    if like.is_cpu:
        return like.new_tensor(values)
    return torch.stack([like.new_full((), value) for value in values])
