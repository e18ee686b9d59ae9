"""The checkpoint that training starts from, held against the model that it is loaded into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.problems import NOTHING_LOADED
from provecfg.spelling import first_few

_SHOWN = 2
_KEEP_NAMES = frozenset({"mmcv", "mmengine", "provecfg", "torch"})
"""Packages whose runner, hooks and modules leave the names in a checkpoint as they are, single layers' excepted."""


def nothing_loaded(config: Any, parts: Parts) -> Iterator[Finding]:
    """Say where none of the weights of `load_from` is of the model, so that mmengine loads none and goes on.

    A file that is not on this machine, or that holds more than data, is not judged; nor is one that the user's own
    runner, hook or module may read under other names.

    Args:
        config: As mmengine loads it.
        parts: What was built.
    """
    named, model = config.get("load_from"), parts.model
    if not isinstance(named, str) or model is None or not Path(named).expanduser().is_file():
        return
    weights = _weights_in(Path(named).expanduser())
    # mmengine 0.10.7, runner/checkpoint.py, `_load_checkpoint_to_model`: `revise_keys`
    names = [str(name).removeprefix("module.") for name in weights]
    own = model.state_dict().keys()
    if not names or not own or own & set(names) or _may_rename(model, parts.runner):
        return
    yield Finding(
        NOTHING_LOADED,
        f"none of the {len(names)} names in {named!r} is one of the model's: it has {first_few(names, _SHOWN)}, "
        f"the model {first_few(list(own), _SHOWN)}",
        "load_from",
        hint=_hint(named, weights, names[0], own),
    )


def _hint(named: str, weights: Mapping[Any, Any], name: str, own: Iterable[str]) -> str:
    """What to do about a checkpoint.

    Args:
        named: Its path, as the config has it.
        weights: What mmengine takes for the weights in it.
        name: The first name of these.
        own: The names of the model's.
    """
    whole = next((other for other in own if other.endswith(f".{name}")), None)
    if whole is not None:
        part = whole.removesuffix(f".{name}")
        return f"they are of {part}: init_cfg=dict(type='Pretrained', checkpoint={named!r}) in model.{part}"
    key = next((key for key, value in weights.items() if isinstance(value, Mapping) and _has_tensors(value)), None)
    if key is not None:
        return f"mmengine reads what stands under 'state_dict', and there are weights under {key!r}: save them under it"
    return "name a checkpoint of a model like this one"


def _has_tensors(values: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, torch.Tensor) for value in values.values())


def _may_rename(model: nn.Module, runner: Any) -> bool:
    """Whether something of the config's may read weights under other names than they have."""
    modules = list(model.modules())
    methods = [type(module)._load_from_state_dict for module in modules]
    if runner is not None:
        methods += [type(runner).load_checkpoint, *(type(hook).after_load_checkpoint for hook in runner.hooks)]
    is_own = any(method.__module__.partition(".")[0] not in _KEEP_NAMES for method in methods)
    return is_own or any(module._load_state_dict_pre_hooks for module in modules)


def _weights_in(path: Path) -> Mapping[Any, Any]:
    """What mmengine takes for the weights of a checkpoint, without their values; nothing of one that holds code."""
    try:
        checkpoint = torch.load(path, map_location="meta", weights_only=True)
    except Exception:  # of a file that is none, or of what torch takes for code: `run` says so
        return {}
    weights = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else {}
    return weights if isinstance(weights, Mapping) else {}
