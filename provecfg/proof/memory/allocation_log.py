"""What tensors a computation holds at each moment, and how many floating-point operations it takes."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

_BLOCK = 512
"""Bytes: CUDA's caching allocator rounds each tensor up to a multiple of it (kMinBlockSize in CUDACachingAllocator)."""

_CONVOLUTION = torch.ops.aten.convolution
_CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward
_COUNTED_AS = {
    getattr(torch.ops.aten, f"_scaled_dot_product_flash_attention_for_cpu{end}"): getattr(
        torch.ops.aten, f"_scaled_dot_product_flash_attention{end}"
    )
    for end in ("", "_backward")
}
"""Operators of the CPU without a formula of their own in torch -> the GPU's, of the same shapes."""


class AllocationLog:
    """Allocations of storages: when each came to be, and when it was let go.

    A storage is known from the first tensor on it that is shown to the log, and is let go when the last tensor
    on it is: by then the interpreter and autograd's graph hold none of them.
    """

    def __init__(self) -> None:
        self._alive: dict[int, tuple[int, weakref.ref[torch.UntypedStorage]]] = {}  # address -> serial number
        self._moves: list[tuple[int, int]] = []  # serial number, bytes: more than 0 where it came, less where it went
        self._serial = 0
        self.flops = 0

    def count(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """Add what an operator of products (convolution, matrix product, attention) takes; others count nothing."""
        packet = func._overloadpacket
        if packet is _CONVOLUTION_BACKWARD:
            # torch's own formula is wrong with groups. Each of the two gradients takes what the forward pass does.
            gradient, image, weight, _, *how = args[:10]
            wanted = sum(args[10][:2])
            self.flops += wanted * flop_registry[_CONVOLUTION](image, weight, None, *how[:4], out_val=gradient)
            return
        formula = flop_registry.get(_COUNTED_AS.get(packet, packet))
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=result)

    def serials_of(self, tensors: Iterable[Tensor]) -> set[int]:
        """The numbers of the storages of tensors that are alive and entered."""
        addresses = {tensor.untyped_storage()._cdata for tensor in tensors}
        return {serial for address, (serial, _) in self._alive.items() if address in addresses}

    def peak(self, apart_from: Collection[int] = ()) -> dict[int, int]:
        """Bytes by number of the storages at the moment of the most bytes, some of them not counted in finding it."""
        total, most, when = 0, 0, 0
        for number, (serial, size) in enumerate(self._moves, 1):
            total += 0 if serial in apart_from else size
            if total > most:
                most, when = total, number
        held: dict[int, int] = {}
        for serial, size in self._moves[:when]:
            if size > 0:
                held[serial] = size
            else:
                del held[serial]
        return held

    def enter(self, tensor: Tensor) -> None:
        """Enter a tensor's storage, unless it is there."""
        storage = tensor.untyped_storage()
        address = storage._cdata
        size = -(-storage.nbytes() // _BLOCK) * _BLOCK
        if address in self._alive or size == 0:
            return
        self._serial += 1
        serial, moves, alive = self._serial, self._moves, self._alive

        def leave(reference: Any) -> None:
            moves.append((serial, -size))
            del alive[address]

        alive[address] = serial, weakref.ref(storage, leave)
        moves.append((serial, size))
