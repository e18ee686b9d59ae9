"""Dotted paths of a config, and the parts of the built model that stand at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def steps_of(key: str) -> list[str | int]:
    """The steps of a dotted path: `a.b[1].c` is `["a", "b", 1, "c"]`."""
    return [name or int(index) for name, index in _STEP.findall(key)]


def value_at(config: Any, key: str) -> Any:
    """The config's value at a dotted path, or None where it has none."""
    for step in steps_of(key):
        if isinstance(step, int):
            if not isinstance(config, (list, tuple)) or step >= len(config):
                return None
            config = config[step]
        else:
            config = config.get(step) if hasattr(config, "get") else None
    return config


def dicts_of(node: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dict in a part of a config, outer ones first, with its dotted path."""
    if isinstance(node, dict):
        yield key, node
        for name, value in node.items():
            yield from dicts_of(value, f"{key}.{name}")
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from dicts_of(value, f"{key}[{index}]")


def module_at(model: nn.Module, key: str) -> nn.Module | None:
    """The part of the built model at a dotted path that starts with `model`, or None where it has none there.

    A list of one and the thing itself are the same: heads make a module of the one, a `ModuleList` of the other.
    """
    part: Any = model
    for step in steps_of(key)[1:]:
        if isinstance(step, int):
            if isinstance(part, (nn.ModuleList, nn.Sequential)):
                part = part[step] if step < len(part) else None
            elif step > 0:
                part = None
        else:
            part = getattr(part, step, None)
    if isinstance(part, nn.ModuleList) and len(part) == 1:
        part = part[0]
    return part if isinstance(part, nn.Module) else None


def key_of_module(config: Any, name: str) -> str:
    """The dotted path in the config of a part of the model, or of the nearest part around it that the config has.

    Args:
        config: The whole config.
        name: As `named_modules` has it: `decode_head.loss_decode.1`.
    """
    key, part = "model", config.get("model")
    for step in name.split(".") if name else []:
        if isinstance(part, (list, tuple)) and step.isdigit() and int(step) < len(part):
            key, part = f"{key}[{step}]", part[int(step)]
        elif isinstance(part, dict) and step in part:
            key, part = f"{key}.{step}", part[step]
        elif not (isinstance(part, dict) and step == "0"):  # a list of one, written without the list
            break
    return key
