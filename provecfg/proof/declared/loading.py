"""What mmengine does while it loads a config: what a file sets over its bases, and which variables its code reads.

In the loaded config nothing shows any more of what was merged; so the loading itself is watched.
"""

from __future__ import annotations

import contextlib
import dis
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

from mmengine.config import Config
from mmengine.config import config as config_module
from mmseg.registry import HOOKS

from provecfg.findings import Finding
from provecfg.proof.classes import class_of
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.problems import DROPPED_HOOK, INHERITED_ARGUMENT

_DELETE = "_delete_"
_READS = frozenset({"LOAD_NAME", "LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD"})
_WRITES = frozenset({"STORE_NAME", "STORE_GLOBAL"})
_NO_CODE = compile("", "a file of data", "exec")


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One file of a config, as mmengine loaded it.

    Args:
        name: Its name.
        own: The variables that it sets, before they are merged into its bases'.
        bases: The variables of its bases.
        reads: Names that its code reads: of variables, and of attributes, such as of `_base_`.
    """

    name: str
    own: Mapping[str, Any]
    bases: Mapping[str, Any]
    reads: frozenset[str]


@contextlib.contextmanager
def watched_loading() -> Iterator[list[LoadedFile]]:
    """Watch mmengine load a config.

    Yields:
        The files, each after its bases; empty until one is loaded.
    """
    files: list[LoadedFile] = []
    executed: list[CodeType] = []  # of files whose variables are not merged yet
    depth = 0
    merge = Config._merge_a_into_b

    def noting_merge(a: Any, b: Any, allow_list_keys: bool = False) -> Any:
        nonlocal depth
        if depth == 0 and not allow_list_keys:  # those are options of the command line
            code = executed.pop() if executed else _NO_CODE
            files.append(LoadedFile(Path(code.co_filename).name, _copied(a), _copied(b), _names(code, _READS)))
        depth += 1
        try:
            return merge(a, b, allow_list_keys)
        finally:
            depth -= 1

    def noting_eval(code: Any, *namespaces: dict[str, Any]) -> Any:
        if namespaces:  # without, it is the list of bases
            executed.append(code)
        return eval(code, *namespaces)

    def noting_exec(code: Any, *namespaces: dict[str, Any]) -> None:
        # A file of the newer syntax: its bases' variables are in its namespace beforehand, and nothing is merged.
        bases = _copied(namespaces[0])
        exec(code, *namespaces)
        own = {name: namespaces[0][name] for name in _names(code, _WRITES) if name in namespaces[0]}
        files.append(LoadedFile(Path(code.co_filename).name, _copied(own), bases, _names(code, _READS)))

    with (
        mock.patch.object(Config, "_merge_a_into_b", staticmethod(noting_merge)),
        mock.patch.object(config_module, "eval", noting_eval, create=True),
        mock.patch.object(config_module, "exec", noting_exec, create=True),
    ):
        yield files


def _copied(value: Any) -> Any:
    """A copy of dicts, lists and tuples, and of nothing that is in them: it may be anything."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in dict.items(value)}
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def _names(code: CodeType, operations: frozenset[str]) -> frozenset[str]:
    """What instructions of code name, that of functions in it included."""
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname in operations}
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return frozenset(names).union(*(_names(constant, operations) for constant in inner))


def merged_unawares(
    files: Sequence[LoadedFile], declared: Callable[[str], Mapping[Any, Any]], parts: Parts
) -> Iterator[Finding]:
    """What a merge has left of the bases, or taken from them, and nobody wrote down.

    Args:
        files: As they were loaded.
        declared: Dotted path -> the dict of the loaded config that stands there.
        parts: What was built.
    """
    for index, file in enumerate(files):
        for key, old_type, arguments in _kept_arguments(file.own, file.bases, ""):
            base = next((base.name for base in reversed(files[:index]) if "type" in _dict_at(base.own, key)), "a base")
            yield from _inherited(key, f"{old_type} in {base}", arguments, declared(key), parts)
    yield from _dropped_hooks(files, parts)


def _dict_at(own: Any, key: str) -> Mapping[str, Any]:
    """The dict at a dotted path, without lists on its way; an empty one where there is none."""
    for name in key.split("."):
        own = own.get(name) if isinstance(own, Mapping) else None
    return own if isinstance(own, Mapping) else {}


def _kept_arguments(own: Any, bases: Any, key: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Dicts that get another `type`: dotted path, the type before, and the arguments of that one that are kept."""
    if not isinstance(own, Mapping) or not isinstance(bases, Mapping) or own.get(_DELETE):
        return
    if {"type"} <= own.keys() & bases.keys() and own["type"] != bases["type"]:
        kept = {name: value for name, value in bases.items() if name not in own}
        yield key, getattr(bases["type"], "__name__", str(bases["type"])), kept
    for name in own.keys() & bases.keys():
        yield from _kept_arguments(own[name], bases[name], f"{key}.{name}" if key else str(name))


def _inherited(
    key: str, said_for: str, arguments: Mapping[str, Any], declared: Mapping[Any, Any], parts: Parts
) -> Iterator[Finding]:
    """Arguments of a base's loss that its successor was built with, and does not have by default."""
    registry, cls = parts.built.get(key, ("", object))
    if registry != "model" or "loss" not in key:
        return
    parameters = inspect.signature(cls).parameters
    kept = [
        f"{name}={value!r}"
        for name, value in arguments.items()
        if name in parameters and declared.get(name) == value and not _is_default(parameters[name], value)
    ]
    if kept:
        yield Finding(
            INHERITED_ARGUMENT,
            f"{cls.__name__} is built with {', '.join(kept)}, said for {said_for}",
            key,
            hint="add _delete_=True, or say the arguments here, too",
        )


def _is_default(parameter: inspect.Parameter, value: Any) -> bool:
    default: Any = parameter.default
    return bool(default == value) and type(default) is type(value)


def _dropped_hooks(files: Sequence[LoadedFile], parts: Parts) -> Iterator[Finding]:
    setting = [file for file in files if "custom_hooks" in file.own]
    if len(setting) < 2 or parts.runner is None:
        return
    base, last = setting[-2:]
    if "custom_hooks" in last.reads or not last.own["custom_hooks"]:
        return  # an empty list is meant, and one that is made of the bases' is another matter
    hooks = last.bases.get("custom_hooks")
    classes = [class_of(hook, HOOKS) for hook in hooks] if isinstance(hooks, (list, tuple)) else []
    dropped = [
        cls.__name__
        for cls in classes
        if cls is not None and not any(isinstance(hook, cls) for hook in parts.runner.hooks)
    ]
    if dropped:
        yield Finding(
            DROPPED_HOOK,
            f"custom_hooks replaces the list of {base.name}: {', '.join(dropped)} does not run",
            "custom_hooks",
            hint="repeat it here, or write custom_hooks = _base_.custom_hooks + [...]",
        )
