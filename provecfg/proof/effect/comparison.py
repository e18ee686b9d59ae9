"""Whether two objects that were built alike are the same, all that they hold included."""

from __future__ import annotations

import functools
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch


def is_same(first: Any, second: Any, *, with_numbers: bool = True) -> bool:
    """Whether nothing tells two objects apart but where they are in memory.

    What is of no kind that can be looked into counts as different, so that nothing is called the same by mistake.

    Args:
        first: Any object.
        second: Another.
        with_numbers: Whether the numbers in tensors count; their shapes and dtypes do in any case.
    """
    try:
        return _Comparison(with_numbers).same(first, second)
    except Exception:  # of a comparison that a class of the config's own refuses, or of too deep a structure
        return False


class _Plain:
    """An object of all of which its `__dict__` knows."""


class _Comparison:
    """One comparison; what is being compared already is not followed again, so that circles come to an end."""

    def __init__(self, with_numbers: bool) -> None:
        self._with_numbers = with_numbers
        self._compared: dict[tuple[int, int], tuple[Any, Any]] = {}

    def same(self, first: Any, second: Any) -> bool:
        if first is second:
            return True
        if type(first) is not type(second):
            return False
        if (id(first), id(second)) in self._compared:
            return True
        self._compared[id(first), id(second)] = first, second  # kept, so that no other object gets its id
        return self._same_contents(first, second)

    def _same_contents(self, first: Any, second: Any) -> bool:
        if isinstance(first, (bool, int, float, complex, str, bytes, type, BuiltinFunctionType, torch.device)):
            return bool(first == second)
        if isinstance(first, torch.Tensor):
            alike = first.shape == second.shape and first.dtype == second.dtype
            alike = alike and first.requires_grad == second.requires_grad
            return alike and (not self._with_numbers or torch.equal(first, second))
        if isinstance(first, np.ndarray):
            return first.dtype == second.dtype and first.dtype != object and np.array_equal(first, second)
        if isinstance(first, FunctionType):
            return first.__code__ is second.__code__ and self.same(_kept_by(first), _kept_by(second))
        if isinstance(first, MethodType):
            return first.__func__ is second.__func__ and self.same(first.__self__, second.__self__)
        if isinstance(first, functools.partial):
            return self.same(
                [first.func, first.args, first.keywords], [second.func, second.args, second.keywords]
            ) and self.same(vars(first), vars(second))
        if isinstance(first, dict) and not self._same_items(first, second):
            return False
        if isinstance(first, (list, tuple)) and not self._same_sequence(first, second):
            return False
        if isinstance(first, (set, frozenset)):
            return bool(first == second)
        if isinstance(first, (dict, list, tuple)):
            return self._same_items(getattr(first, "__dict__", {}), getattr(second, "__dict__", {}))
        if hasattr(first, "__dict__"):
            holds_more = type(first).__basicsize__ > _Plain.__basicsize__  # in slots, or where only C code looks
            return not holds_more and self._same_items(vars(first), vars(second))
        return False

    def _same_items(self, first: dict[Any, Any], second: dict[Any, Any]) -> bool:
        if list(dict.keys(first)) != list(dict.keys(second)):
            return False
        return all(self.same(value, dict.__getitem__(second, key)) for key, value in dict.items(first))

    def _same_sequence(self, first: Any, second: Any) -> bool:
        return len(first) == len(second) and all(self.same(a, b) for a, b in zip(first, second, strict=True))


def _kept_by(function: FunctionType) -> list[Any]:
    """The values that a function has beside its code."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [cells, function.__defaults__, function.__kwdefaults__]
