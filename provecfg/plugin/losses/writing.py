"""Results written where they belong, in eager mode and under torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def write(function: Callable[..., Tensor], *inputs: Any, out: Tensor) -> Tensor:
    """`function(*inputs, out=out)`, also where `out` is a slice.

    torch.compile (2.13) breaks the graph at an `out=` that is not contiguous; it fuses the copy away.
    """
    if torch.compiler.is_compiling():
        return out.copy_(function(*inputs))
    return function(*inputs, out=out)
