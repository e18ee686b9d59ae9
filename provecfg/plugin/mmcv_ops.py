"""A pure-PyTorch stand-in for `mmcv._ext`, mmcv's compiled operators, where they are absent.

mmcv-lite has none, and onedl-mmcv built by pip has none either; without `mmcv._ext` mmdet cannot be imported, nor
upstream's mmseg. Of all the operators, training the models of the catalog calls one, multi-scale deformable attention
in Mask2Former's pixel decoder. The stand-in computes that one with PyTorch, on every device, and refuses the others
by name.

With compiled operators nothing changes: the stand-in is found by the last finder of the import system, which is asked
only when every other one has failed. For the same reason it is found by every way of importing, and by forked workers.
A worker that is spawned instead of forked starts without it, and imports it when it imports `provecfg.plugin`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from provecfg.errors import ProvecfgError

_EXTENSION = "mmcv._ext"


class MissingOpError(ProvecfgError):
    """A compiled mmcv operator was called where mmcv has none."""

    def __init__(self, op: str) -> None:
        super().__init__(
            f"mmcv's operator {op!r} is compiled code, and the installed mmcv has no compiled operators",
            hint="install mmcv with its operators: `mim install mmcv` upstream; for OneDL, which compiles them, "
            "`pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps onedl-mmcv`",
        )


def install() -> None:
    """Let `mmcv._ext` be imported where mmcv was installed without it. Repeating it does nothing."""
    if not any(isinstance(finder, _StandInFinder) for finder in sys.meta_path):
        sys.meta_path.append(_StandInFinder())


def has_compiled_ops() -> bool:
    """Whether the installed mmcv has its own operators, rather than this module's.

    Raises:
        ModuleNotFoundError: mmcv is not installed.
    """
    spec = importlib.util.find_spec(_EXTENSION)
    return spec is not None and not isinstance(spec.loader, _StandInLoader)


def _ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention, with the arguments and the result of mmcv's compiled operator.

    Reached on CUDA only: on the CPU mmcv itself takes its PyTorch path.

    Shape:
        value: (N, sum of H*W over levels, heads, channels). value_spatial_shapes: (levels, 2), as (H, W).
        sampling_locations: (N, queries, heads, levels, points, 2), as (x, y) in [0, 1].
        attention_weights: (N, queries, heads, levels, points).
        returns: (N, queries, heads * channels), in value's dtype.
    """
    return _attend(value, value_spatial_shapes, sampling_locations, attention_weights).to(value.dtype)


def _ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of `_ms_deform_attn_forward`, written into the last three tensors, as the compiled operator does."""
    inputs = [tensor.detach().requires_grad_() for tensor in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = _attend(inputs[0], value_spatial_shapes, inputs[1], inputs[2])
    grads = torch.autograd.grad(output, inputs, grad_output.to(output.dtype))
    for target, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), grads, strict=True):
        target.copy_(grad)


def _attend(value: Tensor, spatial_shapes: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    # Late, since mmcv.ops imports mmcv._ext.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    # In float32, as the compiled kernel accumulates; one transfer for the shapes instead of two per level.
    with torch.autocast(value.device.type, enabled=False):
        return multi_scale_deformable_attn_pytorch(
            value.float(), spatial_shapes.tolist(), locations.float(), weights.float()
        )


def _not_compiled() -> str:
    # What mmcv's environment report says where there are no operators.
    return "n/a"


_OPS: dict[str, Callable[..., Any]] = {
    "ms_deform_attn_forward": _ms_deform_attn_forward,
    "ms_deform_attn_backward": _ms_deform_attn_backward,
    "get_compiler_version": _not_compiled,
    "get_compiling_cuda_version": _not_compiled,
}


class _StandIn(ModuleType):
    """The module that takes the place of `mmcv._ext`: it has every operator, and most of them refuse to run."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in _OPS:
            return _OPS[name]

        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise MissingOpError(name)

        refuse.__name__ = refuse.__qualname__ = name
        return refuse


class _StandInLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name, __doc__)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is: its attributes are made when asked for."""


class _StandInFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _EXTENSION:
            return None
        return ModuleSpec(fullname, _StandInLoader(), origin=f"stand-in by {__name__}")
