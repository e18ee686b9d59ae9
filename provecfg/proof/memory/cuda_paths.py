"""Let a model whose tensors are not allocated take the ways that it takes on a GPU."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from provecfg.plugin.mmcv_ops import has_compiled_ops
from provecfg.proof.memory.meta_autocast import MetaAutocast
from provecfg.proof.step.focal_on_cpu import focal_as_on_gpu

_REAL_TENSOR = torch.tensor


@contextlib.contextmanager
def cuda_paths() -> Iterator[None]:
    """Replace what asks for CUDA's own, or for values."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(focal_as_on_gpu())
        for module, name, replacement in _replacements():
            stack.enter_context(mock.patch.object(module, name, replacement))
        yield


def _replacements() -> Iterator[tuple[Any, str, Any]]:
    yield torch, "autocast", MetaAutocast
    yield torch, "tensor", _with_values(torch.tensor)
    yield torch, "as_tensor", _with_values(torch.as_tensor)
    yield Tensor, "new_tensor", _new_tensor
    # This one looks into the tensor past the dispatcher, and puts its sizes on the CPU.
    yield torch, "_shape_as_tensor", lambda tensor: torch.tensor(tensor.shape)
    for name, module in sorted(sys.modules.items()):
        if name.endswith(".hungarian_assigner") and hasattr(module, "linear_sum_assignment"):
            yield module, "linear_sum_assignment", _first_come
    attention = sys.modules.get("mmcv.ops.multi_scale_deform_attn")
    if attention is not None:
        original = attention.multi_scale_deformable_attn_pytorch
        yield attention, "multi_scale_deformable_attn_pytorch", _deformable_attention(original)


def _with_values(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that makes a tensor of numbers: here first, and moved then, or else nobody would see the numbers."""

    def make(data: Any, *, dtype: torch.dtype | None = None, device: Any = None, **kwargs: Any) -> Tensor:
        if device is None or isinstance(data, Tensor):
            return original(data, dtype=dtype, device=device, **kwargs)
        return original(data, dtype=dtype, **kwargs).to(device)

    return make


def _new_tensor(
    self: Tensor, data: Any, *, dtype: torch.dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return _REAL_TENSOR(data, dtype=dtype or self.dtype).to(device or self.device).requires_grad_(requires_grad)


def _first_come(cost: Tensor, *args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
    """In the place of SciPy's `linear_sum_assignment`: the first row gets the first column, and so on."""
    pairs = np.arange(min(cost.shape))
    return pairs, pairs


def _deformable_attention(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Multi-scale deformable attention that keeps, as on a GPU, its inputs alone for the backward pass.

    Without compiled operators, what the stand-in makes of it on a GPU takes its temporaries, too.
    """

    def attend(value: Tensor, shapes: Any, locations: Tensor, weights: Tensor) -> Tensor:
        images, _, heads, channels = value.shape
        if has_compiled_ops():
            return value.new_empty(images, locations.shape[1], heads * channels)
        return original(value.float(), shapes, locations.float(), weights.float()).to(value.dtype)

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor, shapes: Any, locations: Tensor, weights: Tensor) -> Tensor:
            locations, weights = locations.type_as(value), weights.type_as(value)
            ctx.save_for_backward(value, locations, weights)
            ctx.shapes = shapes
            return attend(value, shapes, locations, weights)

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
            gradients = [torch.zeros_like(tensor) for tensor in ctx.saved_tensors]
            if not has_compiled_ops():
                inputs = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
                with torch.enable_grad():
                    output = attend(inputs[0], ctx.shapes, *inputs[1:])
                for into, computed in zip(gradients, torch.autograd.grad(output, inputs, gradient), strict=True):
                    into.copy_(computed)
            return gradients[0], None, gradients[1], gradients[2]

    return Attention.apply
