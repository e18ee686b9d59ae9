"""The checkpoint that training starts from, held against the model that it is loaded into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.problems import NOTHING_LOADED
from provecfg.spelling import first_few

_SHOWN = 2


def nothing_loaded(config: Any, parts: Parts) -> Iterator[Finding]:
    """Say where none of the weights of `load_from` is of the model, so that mmengine loads none and goes on.

    A file that is not on this machine, or that holds more than data, is not judged.

    Args:
        config: As mmengine loads it.
        parts: What was built.
    """
    named, model = config.get("load_from"), parts.model
    if not isinstance(named, str) or model is None or not Path(named).expanduser().is_file():
        return
    if type(model).load_state_dict is not nn.Module.load_state_dict:
        return  # it may take other names for its own
    names = _names_in(Path(named).expanduser())
    own = model.state_dict().keys()
    if names and not any(name in own for name in names):
        tails = [name for name in own if any(name.endswith(f".{other}") for other in names[:1])]
        hint = "name a checkpoint of a model like this one"
        if tails:
            part = tails[0].removesuffix(f".{names[0]}")
            hint = f"they are of {part}: init_cfg=dict(type='Pretrained', checkpoint={named!r}) in model.{part}"
        yield Finding(
            NOTHING_LOADED,
            f"none of the {len(names)} tensors in {named!r} is one of the model's: it has {first_few(names, _SHOWN)}, "
            f"the model {first_few(list(own), _SHOWN)}",
            "load_from",
            hint=hint,
        )


def _names_in(path: Path) -> list[str]:
    """The names of a checkpoint's tensors, as mmengine compares them with the model's; none of one of code."""
    try:
        checkpoint = torch.load(path, map_location="meta", weights_only=True)
    except (
        Exception
    ):  # of a file that is none, or of what torch takes for code; that a run fails on it is said by `run`
        return []
    weights = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else {}
    # mmengine 0.10.7, runner/checkpoint.py, `_load_checkpoint_to_model`: `revise_keys`
    return [str(name).removeprefix("module.") for name, tensor in weights.items() if isinstance(tensor, torch.Tensor)]
