"""Top-level keys that the runner does not read: variables that are used, and words that nobody heard."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from provecfg.findings import Finding
from provecfg.mmconfig.view import ConfigView, Layer
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.bytecode_names import read_from_config
from provecfg.proof.declared.problems import OLD_KEY, UNREAD_TOP_LEVEL, UNUSED_OVERRIDE
from provecfg.proof.declared.recorded_config import Reads
from provecfg.spelling import nearest_names

_READ_BY_TOOLS = frozenset(
    {"custom_imports", "launcher", "work_dir", "load_from", "resume", "tta_model", "tta_pipeline", "runner_type"}
)
"""Read by `Config.fromfile` and by mmseg's `tools/train.py` and `tools/test.py`."""

_OLD_KEYS = {
    "optimizer": "optim_wrapper.optimizer",
    "optimizer_config": "optim_wrapper",
    "lr_config": "param_scheduler",
    "momentum_config": "param_scheduler",
    "evaluation": "val_evaluator and train_cfg.val_interval",
    "checkpoint_config": "default_hooks.checkpoint",
    "log_config": "default_hooks.logger",
    "runner": "train_cfg",
    "data": "train_dataloader, val_dataloader and test_dataloader",
    "workflow": "train_cfg",
    "total_iters": "train_cfg.max_iters",
    "total_epochs": "train_cfg.max_epochs",
    "seed": "randomness.seed",
    "deterministic": "randomness.deterministic",
    "cudnn_benchmark": "env_cfg.cudnn_benchmark",
    "resume_from": "resume and load_from",
    "dist_params": "env_cfg.dist_cfg",
    "fp16": "optim_wrapper.type AmpOptimWrapper",
}
"""What mmcv's runner, before mmengine, read; and where mmengine reads it now. From mmengine's migration guide."""


def known_keys(runner: Any) -> frozenset[str]:
    """Top-level keys that the runner and its hooks ask the config for, on one machine or on several."""
    taken = set(inspect.signature(Runner).parameters) - {"cfg"}
    classes = {Runner, type(runner), *(type(hook) for hook in getattr(runner, "hooks", ()))}
    read = frozenset[str]().union(*(read_from_config(cls) for cls in classes))
    return frozenset(taken | _READ_BY_TOOLS | {key for key in read if not hasattr(Config, key) and key[0] != "_"})


def unread_variables(top: Reads, view: ConfigView | None, parts: Parts) -> Iterator[Finding]:
    """Findings of top-level keys that neither the runner nor the files' own code reads, or reads too early.

    Args:
        top: What became of the top-level keys.
        view: The files' own variables, and where they read them.
        parts: What was built.
    """
    known = known_keys(parts.runner)
    for name in top.unread:
        if name in known or str(name).startswith("_"):
            continue
        layers = [layer for layer in view.layers if name in layer.values] if view is not None else []
        readers = [layer for layer in view.layers if _is_read_in(layer, name)] if view is not None else []
        if not readers:
            yield from _unheard(name, top.declared[name], known, top.declared)
        elif layers and view is not None:
            yield from _too_late(name, layers, readers, view)
    yield from _own_preprocessor(top)


def _is_read_in(layer: Layer, name: str) -> bool:
    return bool(layer.spans_of_reads(name)) or f"_base_.{name}" in layer.source.text


def _unheard(name: str, value: Any, known: Collection[str], declared: Mapping[str, Any]) -> Iterator[Finding]:
    """A key that looks as if it were for the runner. Any other is a variable that happens to be of no use."""
    near = [key for key in nearest_names(name, known, limit=1) if _is_alike(name, key)]
    problem = UNREAD_TOP_LEVEL
    if name in _OLD_KEYS and value is not None:
        problem, hint = OLD_KEY, f"mmengine reads {_OLD_KEYS[name]}"
    elif near:
        hint = f"did you mean {near[0]!r}{', which is set too' if near[0] in declared else ''}?"
    elif _is_hook(value):
        hint = "hooks go into custom_hooks or default_hooks"
    else:
        return
    yield Finding(problem, f"nothing reads the top-level key {name!r}: it has no effect", name, hint)


def _is_alike(one: str, other: str) -> bool:
    """Whether two names differ in an ending, an underscore, or a letter or two."""
    a, b = (text.lower().replace("_", "").rstrip("s") for text in (one, other))
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


def _too_late(name: str, layers: list[Layer], readers: list[Layer], view: ConfigView) -> Iterator[Finding]:
    """A variable that one file sets, and only the code of its base reads, which has used its own value by then."""
    last = layers[0]
    if last in readers:
        return
    # A file reads its bases' variables, too: one that comes before the last to set it in the order child, base.
    above = view.layers[: view.layers.index(last)]
    if any(reader in above for reader in readers):
        return
    earlier = [layer for layer in layers[1:] if layer in readers]
    if not earlier or view.values[name] == earlier[0].values[name]:
        return
    file = earlier[0].file.name
    yield Finding(
        UNUSED_OVERRIDE,
        f"{name} is set to {_short(view.values[name])}, and only {file} reads it, "
        f"which has already used {_short(earlier[0].values[name])}",
        name,
        hint=f"set what is to change in the dicts that {file} makes of it",
    )


def _own_preprocessor(top: Reads) -> Iterator[Finding]:
    """The runner gives the model `data_preprocessor` only where the model's own dict has none."""
    model, given = top.declared.get("model"), top.declared.get("data_preprocessor")
    own = model.get("data_preprocessor") if isinstance(model, dict) else None
    if not isinstance(own, dict) or not isinstance(given, dict):
        return
    # `_scope_` is mmengine's own note that a base was named by its scope, `mmseg::...`.
    different = [str(key) for key in {**own, **given} if own.get(key) != given.get(key) and key != "_scope_"]
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
