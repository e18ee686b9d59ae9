"""Values of tensors that are not allocated: kept where they are few and known, assumed where a step asks for others.

Such a tensor is one on torch's device "meta", which has a shape and a type.

A model computes with small tensors that its shapes decide, such as the sizes of its feature maps, and asks for their
values to go on. Those are kept: beside the tensor, the few numbers that it stands for. What depends on the
images or the weights is not known; where the model asks for it, it gets an answer that keeps it going, on the side of
more memory: every pixel passes a mask, every class is there, a number is 1, a condition holds, two numbers differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from provecfg.proof.memory.meta_kernels import meta_result

_MOST_KEPT = 4096
"""Elements of a tensor whose values are kept."""
_KEPT = "_provecfg_values"
_DIFFERS = "_provecfg_differs"

_CPU = torch.device("cpu")
_META = torch.device("meta")

aten = torch.ops.aten

_WITHOUT_VALUES = frozenset(
    {"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "empty_permuted"}
)
_OF_A_SHAPE = frozenset({"new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like"})
"""Of their tensor they take shape and dtype."""
_EQUALITIES = frozenset({"eq", "isnan", "isinf", "logical_not"})


class MetaValues:
    """What is known of the values of tensors, and what is assumed instead.

    Args:
        classes: How many different values a label map is taken to hold.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._lost: dict[int, torch.UntypedStorage] = {}  # of real storages, held so that an address stays its own
        self.assumed: dict[str, int] = {}  # name of an operator -> how often its result was assumed
        self._answers: dict[Any, Callable[..., Any]] = {
            aten._local_scalar_dense.default: self._item,
            aten.nonzero.default: self._nonzero,
            aten.index.Tensor: self._indexed,
            aten.masked_select.default: self._masked_select,
            aten._unique2.default: self._unique,
            aten._to_copy.default: self._to_copy,
        }

    def run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The result of an operator on tensors of which some are not allocated.

        Raises:
            NotImplementedError: torch knows no shape of its result.
            RuntimeError: Likewise, or what it would raise in a real step.
        """
        traits = _traits(func)
        valued = self._valued(traits, args, kwargs)
        answer = self._answers.get(func)
        if answer is not None:
            return answer(None if valued is None else _on_values(func, valued), func, *args, **kwargs)
        result = _run(func, args, kwargs)
        if valued is not None and all(part.numel() <= _MOST_KEPT for part in tensors_in(result)):
            _attach(result, _on_values(func, valued))
        elif traits.written:
            self._lose(traits, args, kwargs)
        elif traits.name in _EQUALITIES:
            setattr(result, _DIFFERS, True)
        return result

    def values_of(self, tensor: Tensor) -> Tensor | None:
        """The real tensor of a few numbers that a tensor stands for, or is; else None."""
        if not tensor.is_meta:
            return tensor if tensor.numel() <= _MOST_KEPT else None
        real: Tensor | None = getattr(tensor, _KEPT, None)
        if real is None or real.untyped_storage()._cdata in self._lost:
            return None
        return real

    def _valued(
        self, traits: _Traits, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]] | None:
        """The arguments with values in the index of tensors without, or None where one has none."""
        if not traits.has_values:
            return None
        valued: list[Any] = []
        for arg in args:
            real = _blank(arg) if traits.is_of_a_shape and isinstance(arg, Tensor) else self._real(arg)
            if real is None and arg is not None:
                return None
            valued.append(real)
        named = {}
        for key, arg in kwargs.items():
            named[key] = real = self._real(arg)
            if real is None and arg is not None:
                return None
        return valued, named

    def _real(self, arg: Any) -> Any:
        if isinstance(arg, Tensor):
            return self.values_of(arg)
        if isinstance(arg, (list, tuple)) and any(isinstance(part, Tensor) for part in arg):
            parts = [self._real(part) for part in arg]
            are_valued = all(real is not None or part is None for real, part in zip(parts, arg, strict=True))
            return parts if are_valued else None
        return _CPU if isinstance(arg, torch.device) else arg

    def _lose(self, traits: _Traits, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Something unknown was written: what shares its memory is unknown from here on."""
        for index, name in traits.written:
            target = args[index] if index < len(args) else kwargs.get(name)
            for tensor in target if isinstance(target, (list, tuple)) else [target]:
                real = getattr(tensor, _KEPT, None)
                if real is not None:
                    storage = real.untyped_storage()
                    self._lost[storage._cdata] = storage

    def _assume(self, func: Any) -> None:
        name = _traits(func).name
        self.assumed[name] = self.assumed.get(name, 0) + 1

    def _item(self, real: Any, func: Any, tensor: Tensor) -> Any:
        if real is not None:
            return real
        self._assume(func)
        if tensor.dtype is torch.bool:
            return not getattr(tensor, _DIFFERS, False)
        return 1.0 if tensor.dtype.is_floating_point else 1

    def _to_copy(self, real: Tensor | None, func: Any, tensor: Tensor, **kwargs: Any) -> Tensor:
        device = kwargs.get("device")
        if not tensor.is_meta or device is None or torch.device(device).type == "meta":
            result = _run(func, (tensor,), kwargs)
            if real is not None:
                _attach(result, real)
            return result
        if real is not None:
            return real
        if tensor.numel() > _MOST_KEPT:  # too much to make up: it stays where it is
            return _run(func, (tensor,), {**kwargs, "device": None})
        self._assume(func)
        with torch._C._DisableTorchDispatch():
            return torch.ones(tensor.shape, dtype=kwargs.get("dtype") or tensor.dtype)

    def _nonzero(self, real: Tensor | None, func: Any, mask: Tensor) -> Tensor:
        if real is not None:
            return _like(mask, real)
        self._assume(func)
        return mask.new_empty((mask.numel(), mask.dim()), dtype=torch.int64)

    def _masked_select(self, real: Tensor | None, func: Any, tensor: Tensor, mask: Tensor) -> Tensor:
        if real is not None:
            return _like(tensor, real)
        values = self.values_of(mask)
        if values is None:
            self._assume(func)
        whole = torch.broadcast_shapes(tensor.shape, mask.shape).numel()
        share = 1.0 if values is None else _held(values) / max(1, values.numel())
        return tensor.new_empty((round(whole * share),))

    def _indexed(self, real: Tensor | None, func: Any, tensor: Tensor, indices: list[Tensor | None]) -> Tensor:
        if real is not None:
            return _like(tensor, real)
        spread: list[Tensor | None] = []
        for index in indices:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                spread.append(index)
                continue
            # As torch itself does: a mask becomes the places where it holds, a list for each of its dimensions.
            values = self.values_of(index)
            if values is None:
                self._assume(func)
            count = index.numel() if values is None else _held(values)
            spread += index.new_empty((count, index.dim()), dtype=torch.int64).unbind(1)
        return func(tensor, spread)

    def _unique(self, real: Any, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        if real is not None:
            return tuple(_like(tensor, part) for part in real)
        self._assume(func)
        count = min(self._classes, tensor.numel())
        return (
            tensor.new_empty((count,)),
            tensor.new_empty(tensor.shape, dtype=torch.int64),
            tensor.new_empty((count,), dtype=torch.int64),
        )


class _Traits:
    """What an operator's schema says of it."""

    def __init__(self, func: Any) -> None:
        self.name = func._schema.name.partition("::")[2].rstrip("_")
        arguments = func._schema.arguments
        self.written = [
            (index, argument.name)
            for index, argument in enumerate(arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        self.is_of_a_shape = self.name in _OF_A_SHAPE
        is_random = torch.Tag.nondeterministic_seeded in func.tags
        self.has_values = (
            not is_random
            and self.name not in _WITHOUT_VALUES
            and func.namespace == "aten"
            and bool(func._schema.returns)
        )


@cache
def _traits(func: Any) -> _Traits:
    return _Traits(func)


def _on_values(func: Any, arguments: tuple[list[Any], dict[str, Any]]) -> Any:
    """What the operator makes of real tensors, of a few numbers each."""
    with torch._C._DisableTorchDispatch():  # else the modes, too, would be handed this call
        return func(*arguments[0], **arguments[1])


def _held(mask: Tensor) -> int:
    """How often a mask of real values holds."""
    with torch._C._DisableTorchDispatch():
        return int(mask.count_nonzero())


def _blank(tensor: Tensor) -> Tensor:
    """A real tensor of the dtype, and of the shape where that is small; `new_zeros` and its like do not use it."""
    with torch._C._DisableTorchDispatch():
        return torch.empty(tensor.shape if tensor.numel() <= _MOST_KEPT else (0,), dtype=tensor.dtype)


def _run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The operator's result. Where some of its tensors are real and some not, it is of none of them."""
    if not kwargs:
        result = meta_result(func, args)
        if result is not None:
            return result
    try:
        return func(*args, **kwargs)
    except (RuntimeError, NotImplementedError):
        moved = [_on_meta(arg) for arg in args]
        if all(new is old for new, old in zip(moved, args, strict=True)):
            raise
        return func(*moved, **kwargs)


def _on_meta(arg: Any) -> Any:
    if isinstance(arg, Tensor) and not arg.is_meta:
        return torch.empty(arg.shape, dtype=arg.dtype, device=_META)
    if isinstance(arg, (list, tuple)) and any(isinstance(part, Tensor) for part in arg):
        return [_on_meta(part) for part in arg]
    return arg


def _attach(result: Any, real: Any) -> None:
    if isinstance(result, Tensor) and isinstance(real, Tensor):
        if result.is_meta and real.numel() <= _MOST_KEPT:
            setattr(result, _KEPT, real)
    elif isinstance(result, (list, tuple)) and isinstance(real, (list, tuple)):
        for part, part_values in zip(result, real, strict=False):
            _attach(part, part_values)


def _like(meta: Tensor, real: Tensor) -> Tensor:
    """A tensor that stands for a real one."""
    stand_in = meta.new_empty(real.shape, dtype=real.dtype)
    _attach(stand_in, real)
    return stand_in


def tensors_in(result: Any) -> Iterator[Tensor]:
    """The tensors of an operator's result."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (list, tuple)):
        for part in result:
            yield from tensors_in(part)
