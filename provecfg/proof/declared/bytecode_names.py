"""Which words code names: for keys that are read only later, or only on several machines."""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any


@functools.cache
def words_of(module_name: str) -> frozenset[str]:
    """All words that functions and methods of a module name: attributes, and strings as in `config.get('word')`."""
    module = sys.modules.get(module_name)
    return frozenset(word for code in _codes(module) for word in _words(code)) if module is not None else frozenset()


@functools.cache
def read_from_config(cls: type) -> frozenset[str]:
    """Top-level keys of the config that methods of a class read by `cfg.get('key')`, `cfg['key']` or `cfg.key`."""
    keys: set[str] = set()
    for base in cls.__mro__:
        for value in vars(base).values():
            function = getattr(value, "__func__", value)
            if isinstance(function, FunctionType) and "cfg" in function.__code__.co_names:
                keys.update(_after_cfg(function.__code__))
    return frozenset(keys)


def _after_cfg(code: CodeType) -> Iterator[str]:
    loads = [step for step in dis.get_instructions(code) if step.opname.startswith("LOAD_") and step.argval is not None]
    for cfg, first, second in zip(loads, loads[1:], loads[2:], strict=False):
        if cfg.argval != "cfg":
            continue
        if first.argval in ("get", "pop"):
            word: Any = second.argval if second.opname == "LOAD_CONST" else None
        else:
            word = first.argval if first.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_CONST") else None
        if isinstance(word, str):
            yield word


def _codes(module: ModuleType) -> Iterator[CodeType]:
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        for member in vars(value).values() if isinstance(value, type) else (value,):
            function = getattr(member, "__func__", getattr(member, "fget", member))
            function = getattr(function, "__wrapped__", function)
            if isinstance(function, FunctionType):
                yield function.__code__


def _words(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, (tuple, frozenset)):
            yield from (item for item in constant if isinstance(item, str))
        elif isinstance(constant, CodeType):
            yield from _words(constant)
