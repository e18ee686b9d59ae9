"""Digests of plain values, such as configs and studies: equal for equal values, whoever computes them and when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any


def digest_of(value: Any) -> str:
    """The first 16 hexadecimal digits of SHA-256 of the value as JSON with sorted keys.

    Args:
        value: As configs hold them. Keys count as text, tuples as lists, sets by what they hold, classes and functions
            by their names, anything else by its `repr`.
    """
    text = json.dumps(_plain(value), sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):  # the order of strings in a set is another one in every process
        return sorted(json.dumps(_plain(item), sort_keys=True, default=repr) for item in value)
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):  # the `repr` of a function has its address
        return f"{value.__module__}.{value.__qualname__}"
    return value
