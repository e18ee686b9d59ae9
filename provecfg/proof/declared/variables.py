"""Top-level keys that the runner does not read: variables that are used, and words that nobody heard."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from provecfg.findings import Finding
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.bytecode_names import read_from_config
from provecfg.proof.declared.loading import LoadedFile
from provecfg.proof.declared.problems import UNREAD_TOP_LEVEL, UNUSED_OVERRIDE
from provecfg.proof.declared.recorded_config import Reads
from provecfg.spelling import nearest_names

_READ_BY_TOOLS = frozenset(
    {"custom_imports", "launcher", "work_dir", "load_from", "resume", "tta_model", "tta_pipeline", "runner_type"}
)
"""Read by `Config.fromfile` and by mmseg's `tools/train.py` and `tools/test.py`."""


def keys_of_runner(runner: Any) -> frozenset[str]:
    """Top-level keys that the runner and its hooks ask the config for, on one machine or on several."""
    taken = set(inspect.signature(Runner).parameters) - {"cfg"}
    classes = {Runner, type(runner), *(type(hook) for hook in getattr(runner, "hooks", ()))}
    read = frozenset[str]().union(*(read_from_config(cls) for cls in classes))
    return frozenset(taken | _READ_BY_TOOLS | {key for key in read if not hasattr(Config, key) and key[0] != "_"})


def unread_variables(by_path: Mapping[str, Reads], files: Sequence[LoadedFile], parts: Parts) -> Iterator[Finding]:
    """Findings of top-level keys that neither the runner nor the files' own code reads, or reads too early.

    Args:
        by_path: What became of the keys of every dict; the top-level ones stand at ''.
        files: As they were loaded.
        parts: What was built.
    """
    top = by_path[""]
    keys = keys_of_runner(parts.runner)
    for name in top.unread:
        if name in keys or str(name).startswith("_"):
            continue
        if any(name in file.reads for file in files):
            yield from _used_before(name, files)
        else:
            yield from _unread(name, top.declared, keys)
    yield from _second_preprocessor(by_path, parts)


def _unread(name: str, declared: Mapping[str, Any], keys: Collection[str]) -> Iterator[Finding]:
    """A key that looks as if it were for the runner. Any other is a variable that happens to be of no use."""
    near = [key for key in nearest_names(name, keys, limit=1) if _is_alike(name, key)]
    if near:
        hint = f"did you mean {near[0]!r}{', which is set too' if near[0] in declared else ''}?"
    elif _is_hook(declared[name]):
        hint = "hooks go into custom_hooks or default_hooks"
    else:
        return
    yield Finding(UNREAD_TOP_LEVEL, f"nothing reads the top-level key {name!r}: it has no effect", name, hint)


def _is_alike(name: str, key: str) -> bool:
    """Whether two names differ in an ending, an underscore, or a letter or two."""
    a, b = (text.lower().replace("_", "").rstrip("s") for text in (name, key))
    if a == b:
        return True
    common = sum(1 for x, y in zip(a, b, strict=False) if x == y)
    backwards = sum(1 for x, y in zip(reversed(a), reversed(b), strict=False) if x == y)
    return max(len(a), len(b)) >= 6 and max(len(a), len(b)) - max(common, backwards, _around(a, b)) <= 2


def _around(a: str, b: str) -> int:
    """Letters that two names share at their beginnings and ends."""
    start = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest = min(len(a), len(b)) - start
    return start + next((n for n in range(rest) if a[-1 - n] != b[-1 - n]), rest)


def _is_hook(value: Any) -> bool:
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    return isinstance(first, dict) and str(first.get("type", "")).endswith("Hook")


def _used_before(name: str, files: Sequence[LoadedFile]) -> Iterator[Finding]:
    """A variable that one file sets, and only the code of its base reads, which has used its own value by then."""
    setting = [index for index, file in enumerate(files) if name in file.own]
    reading = [index for index, file in enumerate(files) if name in file.reads]
    # A file reads its bases' variables, too: one that comes after the last to set it.
    if not setting or reading[-1] >= setting[-1]:
        return
    own = files[setting[-1]].own[name]
    bases = [files[index] for index in reading if index in setting]
    if bases and bases[-1].own[name] != own:
        yield Finding(
            UNUSED_OVERRIDE,
            f"{name} is set to {_short(own)}, and only {bases[-1].name} reads it, which has already used "
            f"{_short(bases[-1].own[name])}",
            name,
            hint=f"set what is to change in the dicts that {bases[-1].name} makes of it",
        )


def _second_preprocessor(by_path: Mapping[str, Reads], parts: Parts) -> Iterator[Finding]:
    """The runner gives the model `data_preprocessor` only where the model's own dict has none."""
    own, unused = by_path.get("model.data_preprocessor"), by_path.get("data_preprocessor")
    if own is None or unused is None or own.path not in parts.built or unused.path in parts.built:
        return
    # `_scope_` is mmengine's own note that a base was named by its scope, `mmseg::...`.
    both = {**own.declared, **unused.declared}
    different = [str(key) for key in both if own.declared.get(key) != unused.declared.get(key) and key != "_scope_"]
    if different:
        yield Finding(
            UNUSED_OVERRIDE,
            f"the model has a data_preprocessor of its own, which is taken; this one differs in {', '.join(different)}",
            "data_preprocessor",
            hint="set model.data_preprocessor",
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
