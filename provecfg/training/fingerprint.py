"""What a config trains, as digests: by them a run knows its work dir again, and a proof its config.

Where data and files lie is no part of it: the same training can go on in another place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provecfg.digest import digest_of

_PLACES = frozenset({"data_root", "work_dir", "experiment_name"})


def digests_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Top-level key of a resolved config -> digest of its value: equal where the two differ in nothing but places."""
    return {key: digest_of(_without_places(value)) for key, value in config.items() if key not in _PLACES}


def fingerprint_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The digests of those parts of a resolved config that decide what is trained.

    Two configs with equal fingerprints train the same model on the same data by the same schedule. Left out is what a
    run may change when it goes on: workers, logging, checkpoints, validations, the patience of early stopping.
    """
    parts = {name: config.get(name) for name in ("model", "optim_wrapper", "param_scheduler", "randomness")}
    parts["train_cfg"] = _of(config.get("train_cfg"), ("type", "by_epoch", "max_iters", "max_epochs"))
    for name in ("train_dataloader", "val_dataloader"):
        parts[name] = _of(config.get(name), ("batch_size", "dataset", "sampler"))
    parts["val_evaluator"] = config.get("val_evaluator")
    return digests_of(parts)


def _of(part: Any, names: tuple[str, ...]) -> Any:
    """Some keys of a part of a config; a part that has no keys, as it is: a rule says so."""
    part = part or {}
    return {name: part.get(name) for name in names} if isinstance(part, Mapping) else part


def _without_places(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_places(item) for key, item in value.items() if key not in _PLACES}
    if isinstance(value, (list, tuple)):
        return [_without_places(item) for item in value]
    return value


def stopping_of(config: Mapping[str, Any]) -> str:
    """Digest of what may end a run of a config before its last iteration: any hook may.

    A run that stopped early is complete as long as this stays the same; after a change, such as more patience, it is
    resumed, and its early stopping says whether it goes on.
    """
    return digest_of(_without_places([config.get("default_hooks"), config.get("custom_hooks")]))
