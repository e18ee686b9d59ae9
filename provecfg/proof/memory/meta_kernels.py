"""Results of some operators on tensors that are not allocated, found sooner than torch finds them.

For these torch goes through the operator's decomposition in Python, which takes up to 10 ms each; a step has hundreds.
What is here says the same of shapes and types (a test compares the two), and makes every result contiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def meta_result(func: Any, args: Sequence[Any]) -> Any:
    """The operator's result, not allocated; None where torch has to be asked.

    Args:
        func: The operator.
        args: Of a call without keyword arguments.
    """
    kernel = _KERNELS.get(func)
    return kernel(*args) if kernel is not None and isinstance(args[0], Tensor) and args[0].is_meta else None


def _like_first(first: Tensor, *others: Any) -> Tensor:
    return first.new_empty(first.shape)


def _of_two(left: Tensor, right: Any) -> Tensor | None:
    if not isinstance(right, Tensor) or right.dtype is not left.dtype or not left.dtype.is_floating_point:
        return None
    if not right.is_meta or left.dim() == 0 or right.dim() == 0:
        return None
    return left.new_empty(left.shape if left.shape == right.shape else torch.broadcast_shapes(left.shape, right.shape))


def _addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty((left.shape[0], right.shape[1]))


def _resized(image: Tensor, size: Sequence[int], *how: Any) -> Tensor:
    return image.new_empty((*image.shape[:2], *size))


def _sampled(image: Tensor, grid: Tensor, *how: Any) -> Tensor:
    return image.new_empty((*image.shape[:2], *grid.shape[1:3]))


def _statistics(shape: Sequence[int], image: Tensor) -> Tensor:
    return image.new_empty(shape, dtype=_accumulated(image.dtype))  # kept in float32 for float16 and bfloat16


def _accumulated(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype is torch.float64 else torch.float32


def _batch_norm(
    image: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *how: Any
) -> tuple[Tensor, ...] | None:
    if not training:
        return None
    channels = (image.shape[1],)
    return image.new_empty(image.shape), _statistics(channels, image), _statistics(channels, image)


def _batch_norm_backward(
    gradient: Tensor, image: Tensor, weight: Any, mean: Any, variance: Any, kept: Any, more: Any, training: bool,
    eps: float, wanted: Sequence[bool],
) -> tuple[Tensor | None, ...] | None:  # fmt: skip
    if weight is None:
        return None
    results = (image, weight, weight)
    return tuple(part.new_empty(part.shape) if want else None for part, want in zip(results, wanted, strict=True))


def _layer_norm(tokens: Tensor, shape: Sequence[int], *how: Any) -> tuple[Tensor, ...]:
    means = (*tokens.shape[: tokens.dim() - len(shape)], *(1 for _ in shape))
    return tokens.new_empty(tokens.shape), _statistics(means, tokens), _statistics(means, tokens)


def _layer_norm_backward(
    gradient: Tensor, tokens: Tensor, shape: Any, mean: Any, spread: Any, weight: Any, bias: Any, wanted: Sequence[bool]
) -> tuple[Tensor | None, ...] | None:
    if weight is None or bias is None:
        return None
    results = (tokens, weight, bias)
    return tuple(part.new_empty(part.shape) if want else None for part, want in zip(results, wanted, strict=True))


def _softmax_backward(gradient: Tensor, output: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    return gradient.new_empty(gradient.shape, dtype=dtype)


_KERNELS: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: _of_two,
    aten.sub.Tensor: _of_two,
    aten.mul.Tensor: _of_two,
    aten.div.Tensor: _of_two,
    aten.addmm.default: _addmm,
    aten.relu.default: _like_first,
    aten.threshold_backward.default: _like_first,
    aten.gelu.default: _like_first,
    aten.gelu_backward.default: _like_first,
    aten.roll.default: _like_first,
    aten._softmax_backward_data.default: _softmax_backward,
    aten.upsample_bilinear2d.default: _resized,
    aten.grid_sampler_2d.default: _sampled,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
}
