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

    `like.new_tensor(values)`, which waits on CUDA until all work before it is done. A copy that need not be waited for
    does not: of so few bytes the driver takes the host's memory at once (CUDA Runtime API, "API synchronization
    behavior": pageable memory, asynchronous copy).
    """
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)
