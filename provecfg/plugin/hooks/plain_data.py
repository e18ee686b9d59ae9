"""Checkpoint contents as plain data, and back.

Plain is what `torch.load(weights_only=True)` takes with no allow-list, from torch 2.4 on: None, numbers, text, bytes,
tensors, and dicts, lists and tuples of these. What has no plain equal is written as a dict with the key `TAG`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

TAG = "__provecfg__"

_LEAVES = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype)
_CONTAINERS = (dict, OrderedDict, list, tuple)


class NotPlainError(TypeError):
    """A value that cannot be written as plain data.

    Args:
        where: Its place, as keys and indices joined by dots.
        value: The value.
    """

    def __init__(self, where: str, value: object) -> None:
        kind = type(value)
        super().__init__(f"{where or 'it'} is a {kind.__module__}.{kind.__qualname__}, which is not plain data")


def to_plain(value: Any, where: str = "") -> Any:
    """Return the value as plain data. What is plain already is returned itself, not a copy.

    NumPy scalars become Python's, subclasses of dict, list, tuple, str, int and float the class itself, paths text.
    NumPy arrays, sets and mmengine's history buffers become tagged dicts, which `from_plain` turns back.

    Args:
        value: Anything.
        where: The place of the value, for the error.

    Raises:
        NotPlainError: It is, or holds, something else.
    """
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind in _CONTAINERS:
        return _rebuilt(value, lambda item, step: to_plain(item, f"{where}.{step}".lstrip(".")))
    for plain, convert in _CONVERSIONS:
        if isinstance(value, plain):
            return to_plain(convert(value), where)
    raise NotPlainError(where, value)


def from_plain(value: Any) -> Any:
    """Undo `to_plain`, as far as it left tags. What holds none is returned itself, not a copy."""
    if type(value) not in _CONTAINERS:
        return value
    value = _rebuilt(value, lambda item, _: from_plain(item))
    if isinstance(value, dict) and value.get(TAG) in _RESTORATIONS:
        return _RESTORATIONS[value[TAG]](value)
    return value


def _rebuilt(container: Any, convert: Callable[[Any, Any], Any]) -> Any:
    """The container with its items converted; itself if that changes none.

    Kept where it can be, since mmengine compares the pickles of the saved and the present dataset's metadata, and a
    pickle tells a list that is used twice from two equal ones.
    """
    steps: Iterable[Any]
    if isinstance(container, dict):
        steps, items = list(container), list(container.values())
        keys = [_plain_key(key) for key in steps]
    else:
        steps, items = range(len(container)), list(container)
        keys = list(steps)
    converted = [convert(item, step) for step, item in zip(steps, items, strict=True)]
    unchanged = all(new is old for new, old in zip(converted, items, strict=True))
    if unchanged and all(new is old for new, old in zip(keys, steps, strict=True)):
        return container
    if isinstance(container, dict):
        return type(container)(zip(keys, converted, strict=True))
    return type(container)(converted)


def _plain_key(key: Any) -> Any:
    return key if type(key) in _LEAVES else to_plain(key, f"the key {key!r}")


def _array_to_plain(array: np.ndarray) -> dict[str, Any]:
    try:
        # A copy, since a tensor cannot take a read-only array or one with negative strides.
        data: Any = torch.from_numpy(array.copy(order="C"))
    except (TypeError, ValueError):  # text, dates, objects, foreign byte order
        data = array.tolist()
    return {TAG: "ndarray", "dtype": array.dtype.str, "data": data}


def _array_from_plain(tagged: dict[str, Any]) -> np.ndarray:
    data = tagged["data"]
    if isinstance(data, torch.Tensor):
        data = data.cpu().numpy()  # resuming puts every tensor on the device
    return np.array(data, dtype=tagged["dtype"])


def _history_to_plain(history: HistoryBuffer) -> dict[str, Any]:
    values, counts = history.data
    return {TAG: "HistoryBuffer", "values": values, "counts": counts, "max_length": history.max_length}


def _history_from_plain(tagged: dict[str, Any]) -> HistoryBuffer:
    return HistoryBuffer(tagged["values"], tagged["counts"], tagged["max_length"])


def _scalar_to_plain(scalar: np.generic) -> Any:
    value = scalar.item()
    # An extended float has no Python equal and would come back as it is.
    return float(value) if isinstance(value, np.generic) else value


# In this order: a NumPy float is also a Python float.
_CONVERSIONS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (np.generic, _scalar_to_plain),
    (np.ndarray, _array_to_plain),
    (HistoryBuffer, _history_to_plain),
    (set, lambda value: {TAG: "set", "items": list(value)}),
    (frozenset, lambda value: {TAG: "frozenset", "items": list(value)}),
    (PurePath, str),
    (OrderedDict, OrderedDict),
    (dict, dict),
    (list, list),
    (tuple, tuple),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (torch.device, str),
)

_RESTORATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ndarray": _array_from_plain,
    "HistoryBuffer": _history_from_plain,
    "set": lambda tagged: set(tagged["items"]),
    "frozenset": lambda tagged: frozenset(tagged["items"]),
}
