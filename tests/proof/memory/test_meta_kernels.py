from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from provecfg.proof.memory.meta_kernels import _KERNELS, meta_result
from provecfg.proof.memory.meta_values import tensors_in

pytestmark = pytest.mark.stack

functional = torch.nn.functional


class Compared(TorchDispatchMode):
    """Holds what is said of each operator's result against what torch says."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        on_meta = meta_result(func, args) if not kwargs else None
        if on_meta is not None:
            self.seen.add(func)
            assert [(t.shape, t.dtype) for t in tensors_in(on_meta)] == [(t.shape, t.dtype) for t in tensors_in(result)]
        return result


def image(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta", requires_grad=True)


def test_shapes_and_types_are_those_that_torch_finds() -> None:
    x, rows = image(2, 6, 8, 10), image(7, 6)
    ones = torch.empty(6, device="meta", requires_grad=True)
    with Compared() as compared:
        results = [
            x + image(6, 1, 1) * x - x / image(2, 1, 8, 1),
            torch.addmm(ones, rows, image(6, 6)),
            x.relu(),
            functional.gelu(x),
            x.roll((1, 2), (2, 3)),
            x.softmax(1),
            functional.interpolate(x, (16, 5), mode="bilinear"),
            functional.grid_sample(x, image(2, 3, 4, 2), align_corners=False),
            functional.batch_norm(x, None, None, ones, ones, training=True),
            functional.layer_norm(rows, (6,), ones, ones),
            functional.layer_norm(image(7, 6, dtype=torch.bfloat16), (6,), ones.bfloat16(), ones.bfloat16()),
        ]
        torch.stack([result.sum() for result in results]).sum().backward()

    assert compared.seen == set(_KERNELS)


def test_other_calls_are_left_to_torch() -> None:
    real = torch.ones(2, 2)

    assert meta_result(torch.ops.aten.add.Tensor, (real, real)) is None
    assert meta_result(torch.ops.aten.add.Tensor, (image(2), image(2).double())) is None
    assert meta_result(torch.ops.aten.sin.default, (image(2),)) is None
