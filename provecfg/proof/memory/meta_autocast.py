"""CUDA's autocast for tensors that are not allocated, for which torch has none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_HALF = torch.bfloat16
"""float16 has the same size."""
_REAL_AUTOCAST = torch.autocast


class _Autocast(TorchFunctionMode):
    """Casts the arguments of functions as autocast does on CUDA.

    Source: "CUDA Ops that can autocast to float16" and "to float32", https://docs.pytorch.org/docs/stable/amp.html; of
    the second, those whose results are as large as images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_on = True
        self._weights: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.is_on:
            return func(*args, **kwargs)
        if func is functional.multi_head_attention_forward:
            # Made of others, in Python: it is let through, and they are cast.
            with self, mock.patch.object(functional, "has_torch_function", return_value=False):
                return func(*args, **kwargs)
        if func in _NARROW:
            args, kwargs = self._cast(list(args), _HALF), self._cast(kwargs, _HALF)
        elif func in _WIDE:
            args, kwargs = self._cast(list(args), torch.float32), self._cast(kwargs, torch.float32)
        return func(*args, **kwargs)

    def _cast(self, arg: Any, dtype: torch.dtype) -> Any:
        if isinstance(arg, (list, tuple)):
            return [self._cast(part, dtype) for part in arg]
        if isinstance(arg, dict):
            return {key: self._cast(part, dtype) for key, part in arg.items()}
        if not isinstance(arg, Tensor) or arg.dtype is dtype or arg.dtype not in (_HALF, torch.float16, torch.float32):
            return arg
        if not isinstance(arg, nn.Parameter):
            return arg.to(dtype)
        if id(arg) not in self._weights:  # autocast keeps what it made of a weight until it ends
            self._weights[id(arg)] = arg.to(dtype)
        return self._weights[id(arg)]


_running: list[_Autocast] = []


@contextlib.contextmanager
def meta_autocast() -> Iterator[None]:
    """Compute as under CUDA's autocast to 16 bits."""
    mode = _Autocast()
    _running.append(mode)
    try:
        with mode:
            yield
    finally:
        _running.pop()


class MetaAutocast(contextlib.ContextDecorator):
    """In the place of `torch.autocast`, which refuses tensors that are not allocated: it turns the above on and off."""

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True, **kwargs: Any) -> None:
        self._enabled = enabled
        self._real = None if device_type == "meta" else _REAL_AUTOCAST(device_type, dtype, enabled, **kwargs)
        self._before: list[bool] = []

    def __enter__(self) -> MetaAutocast:
        if self._real is not None:
            self._real.__enter__()
        elif _running:
            self._before.append(_running[-1].is_on)
            _running[-1].is_on = self._enabled
        return self

    def __exit__(self, *error: Any) -> None:
        if self._real is not None:
            self._real.__exit__(*error)
        elif _running:
            _running[-1].is_on = self._before.pop()


_NAMESPACES = (torch, Tensor, functional)


def _named(*names: str) -> set[Any]:
    return {getattr(space, name) for space in _NAMESPACES for name in names if hasattr(space, name)}


_NARROW = frozenset(
    _named(
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "prelu"),
        *("matmul", "__matmul__", "mm", "bmm", "addmm", "addbmm", "baddbmm", "mv", "einsum", "bilinear"),
        "scaled_dot_product_attention",
    )
)
_WIDE = frozenset(
    _named(
        *("softmax", "log_softmax", "softplus", "exp", "log", "pow", "__pow__", "rsqrt", "reciprocal", "cumsum", "sum"),
        *("norm", "normalize", "layer_norm", "group_norm", "prod", "cdist", "cosine_similarity"),
        *("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss", "smooth_l1_loss"),
    )
)
