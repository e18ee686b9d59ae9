"""A training step of a model at its real size on meta tensors: everything happens but the numbers."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from provecfg.proof.image_shape import Size
from provecfg.proof.memory.allocation_log import AllocationLog
from provecfg.proof.memory.cuda_paths import cuda_paths
from provecfg.proof.memory.meta_autocast import meta_autocast
from provecfg.proof.memory.meta_values import MetaValues, tensors_in

_META = torch.device("meta")
"""Where torch keeps tensors that have a shape and a type, and no numbers."""
_SIZES = ("img_shape", "ori_shape", "pad_shape", "batch_input_shape")


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is at a moment of a step, in bytes, beside the weights.

    Args:
        gradients: Of the parameters, as far as there are any by then.
        activations: All else: what the backward pass needs, temporaries, the batch.
    """

    gradients: int
    activations: int


@dataclass(frozen=True, slots=True)
class MetaStep:
    """What a step takes.

    Args:
        weights: Bytes of parameters and buffers.
        moments: That of the most bytes, and that of the most activations, which counts where there are more images.
        all_gradients: Bytes of all gradients that there are by the end of the step.
        forward_flops: Of the forward pass with its losses; a multiplication and an addition are two.
        step_flops: With the backward pass.
        assumed: Names of the operators whose results depend on values that nobody knows, and were assumed.
    """

    weights: int
    moments: tuple[Moment, ...]
    all_gradients: int
    forward_flops: int
    step_flops: int
    assumed: tuple[str, ...]

    def peak(self, scale: float = 1.0) -> Moment:
        """The moment of the most bytes with `scale` times as many images: all activations are taken to grow alike."""
        moments = [Moment(moment.gradients, math.ceil(scale * moment.activations)) for moment in self.moments]
        return max(moments, key=lambda moment: moment.gradients + moment.activations)


class _StepDispatch(TorchDispatchMode):
    """Hands every operator to what knows values, and enters what it makes."""

    def __init__(self, values: MetaValues, log: AllocationLog) -> None:
        super().__init__()
        self._values, self._log = values, log

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._values.run(func, args, kwargs or {})
        self._log.count(func, args, kwargs or {}, result)
        for tensor in tensors_in(result):
            if tensor.is_meta:
                self._log.enter(tensor)
        return result


def meta_step(
    model: Any,
    batch: Mapping[str, Any],
    size: Size,
    images: int,
    *,
    classes: int,
    half: bool = False,
    keeps_gradients: bool = False,
) -> MetaStep:
    """Train a copy of the model for one step, of which nothing is allocated.

    Args:
        model: A segmentor in training mode, on the CPU or a GPU. It stays as it is.
        batch: `inputs`, a list of (C, h, w) images, and `data_samples`; the first of each is taken for all.
        size: (height, width) in pixels of the images in the place of those.
        images: In the batch.
        classes: How many different labels an image is taken to hold.
        half: Under autocast to 16 bits, as CUDA does it.
        keeps_gradients: Whether the step begins with gradients, as it does where several batches make one step.

    Raises:
        Exception: Whatever the model raises; of torch's meta tensors where it asks for what they do not have.
    """
    values, log = MetaValues(classes), AllocationLog()
    with cuda_paths():
        model = _meta_copy(model)
        parameters, buffers = list(model.parameters()), list(model.buffers())
        for tensor in [*parameters, *buffers]:
            log.enter(tensor)
        weights = log.serials_of([*parameters, *buffers])
        if keeps_gradients:
            for parameter in parameters:
                if parameter.requires_grad:
                    parameter.grad = torch.empty_like(parameter, device=_META)
                    log.enter(parameter.grad)
        inputs, samples = _meta_batch(batch, size, images)
        for tensor in [inputs, *_tensors_of(samples)]:
            log.enter(tensor)
        with _StepDispatch(values, log):
            with meta_autocast() if half else contextlib.nullcontext():
                losses = model(inputs, samples, mode="loss")
            total, _ = model.parse_losses(losses)
            forward_flops = log.flops
            if isinstance(total, Tensor) and total.requires_grad:
                total.backward()
        gradients = log.serials_of([parameter.grad for parameter in parameters if parameter.grad is not None])
        moments = [log.peak(), log.peak(apart_from=gradients)]
    return MetaStep(
        weights=sum(moments[0][serial] for serial in weights),
        moments=tuple(
            Moment(
                sum(size for serial, size in held.items() if serial in gradients),
                sum(size for serial, size in held.items() if serial not in gradients and serial not in weights),
            )
            for held in moments
        ),
        all_gradients=sum(parameter.grad.nbytes for parameter in parameters if parameter.grad is not None),
        forward_flops=forward_flops,
        step_flops=log.flops,
        assumed=tuple(sorted(values.assumed)),
    )


def meta_prediction(model: Any, batch: Mapping[str, Any], size: Size, images: int, test_cfg: Any) -> int:
    """Let a copy of the model predict, of which nothing is allocated.

    Args:
        model: A segmentor, on the CPU or a GPU. It stays as it is.
        batch: As for `meta_step`.
        size: (height, width) in pixels of the images in the place of those.
        images: In the batch.
        test_cfg: Of the model, as declared. Of a window that slides, the first and the last place in each direction are
            tried: what is held between them is the same for any number.

    Returns:
        The most bytes of tensors at a time, beside parameters and buffers.

    Raises:
        Exception: As of `meta_step`.
    """
    values, log = MetaValues(1, alike=True), AllocationLog()
    with cuda_paths(), torch.no_grad():
        model = _meta_copy(model).eval()
        model.test_cfg = _with_fewest_windows(test_cfg, size)
        weights = [*model.parameters(), *model.buffers()]
        for tensor in weights:
            log.enter(tensor)
        serials = log.serials_of(weights)
        inputs, samples = _meta_batch(batch, size, images)
        for tensor in [inputs, *_tensors_of(samples)]:
            log.enter(tensor)
        with _StepDispatch(values, log):
            model(inputs, samples, mode="predict")
        held = log.peak()
    return sum(size for serial, size in held.items() if serial not in serials)


def _with_fewest_windows(test_cfg: Any, size: Size) -> Any:
    if test_cfg is None or test_cfg.get("mode") != "slide":
        return test_cfg
    few = copy.deepcopy(test_cfg)
    sides = zip(test_cfg["stride"], test_cfg["crop_size"], size, strict=True)
    few["stride"] = tuple(max(stride, side - window) for stride, window, side in sides)
    return few


def _meta_copy(model: nn.Module) -> nn.Module:
    """The model with parameters and buffers on `meta`. Other tensors that it holds come there where they are used."""
    replaced: dict[int, Any] = {}
    for parameter in model.parameters():
        replaced[id(parameter)] = nn.Parameter(_meta(parameter, parameter.shape), requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        replaced[id(buffer)] = _meta(buffer, buffer.shape)
    return copy.deepcopy(model, replaced)


def _meta(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.empty(tuple(shape), dtype=tensor.dtype, device=_META)


def _meta_batch(batch: Mapping[str, Any], size: Size, images: int) -> tuple[Tensor, list[Any]]:
    image, sample = batch["inputs"][0], batch["data_samples"][0]
    inputs = torch.empty(images, image.shape[0], *size, device=_META)
    return inputs, [_meta_sample(sample, size) for _ in range(images)]


def _meta_sample(sample: Any, size: Size) -> Any:
    scaled = type(sample)(metainfo=dict.fromkeys(_SIZES, size))
    for name, part in sample.items():
        if isinstance(part, BaseDataElement):
            fields = {key: value for key, value in part.items() if isinstance(value, Tensor)}
            on_meta = {key: _meta(value, (*value.shape[:-2], *size)) for key, value in fields.items()}
            setattr(scaled, name, type(part)(**on_meta))
    return scaled


def _tensors_of(samples: list[Any]) -> Iterator[Tensor]:
    for sample in samples:
        for part in sample.values():
            if isinstance(part, BaseDataElement):
                yield from (value for value in part.values() if isinstance(value, Tensor))
