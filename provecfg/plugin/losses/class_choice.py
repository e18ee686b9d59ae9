"""Which classes a loss averages over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from .class_weights import class_constants

Classes = Literal["all", "present"] | Sequence[int]


def checked_classes(classes: Classes) -> Literal["all", "present"] | tuple[int, ...]:
    """`classes` in a form that compares by value (a string from YAML is not interned).

    Raises:
        ValueError: Neither "all", "present" nor a list of different class numbers >= 0.
    """
    if isinstance(classes, str):
        if classes == "all":
            return "all"
        if classes == "present":
            return "present"
        raise ValueError(f"classes is {classes!r}, must be 'all', 'present' or a list of class numbers")
    numbers = tuple(int(c) for c in classes)
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ValueError(f"classes is {list(classes)}, must be different class numbers, at least one")
    return numbers


def chosen_classes(classes: Literal["all", "present"] | tuple[int, ...], num_classes: int) -> tuple[int, ...]:
    """The class numbers to look at.

    Raises:
        ValueError: A class number that the logits do not have; names it.
    """
    if isinstance(classes, str):
        return tuple(range(num_classes))
    if max(classes) >= num_classes:
        raise ValueError(f"classes holds {max(classes)}, the logits have {num_classes} classes")
    return classes


def class_mask(classes: tuple[int, ...], num_classes: int, like: Tensor) -> Tensor:
    """(C,) of `like`'s dtype and device: 1 for the classes, else 0. An index list would be waited for on CUDA."""
    return class_constants([float(c in classes) for c in range(num_classes)], like)
