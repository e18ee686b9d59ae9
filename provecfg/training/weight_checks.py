"""The weights that a run loads, looked at before training: that they are there, and hold nothing but data."""

from __future__ import annotations

import pickle
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config

from provecfg.findings import Finding
from provecfg.spelling import first_few as some
from provecfg.training.adapt import pretrained_of
from provecfg.training.problems import CHECKPOINT_UNREADABLE, CHECKPOINT_WITH_CODE, NOT_PLAIN_DATA, WEIGHTS_MISSING

_SECONDS_TO_ANSWER = 5


def check_weights(config: Config, *, trusted: bool = False, resumed: bool = False) -> list[Finding]:
    """What is wrong with the weights that the model and the run start from.

    Args:
        config: Its `init_cfg` of type Pretrained, `pretrained` and `load_from`.
        trusted: Load files that hold more than data.
        resumed: The run goes on from a checkpoint of its own, instead of `load_from`.
    """
    wanted = list(pretrained_of(config))
    if config.get("load_from") and not resumed:
        wanted.append(("load_from", str(config.load_from)))
    findings: list[Finding] = []
    seen = set()
    for key, name in wanted:
        if name in seen:
            continue
        seen.add(name)
        address = _address(name)
        if address is None:
            continue  # a storage of its own; mmengine says what it lacks
        if not address.startswith(("http://", "https://")):
            path = Path(address).expanduser()
            findings += _check_local(key, path, trusted)
            continue
        cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(address).path).name
        if cached.is_file():
            findings += check_checkpoint(key, cached, trusted=trusted)
        else:
            findings += _check_download(key, name, address, cached)
    return findings


def _check_local(key: str, path: Path, trusted: bool) -> list[Finding]:
    if path.is_file():
        return check_checkpoint(key, path, trusted=trusted)
    hint = "mend the path, or start from random weights with --no-pretrained"
    return [Finding(WEIGHTS_MISSING, f"weights {str(path)!r} do not exist", key, hint)]


def _check_download(key: str, name: str, address: str, cached: Path) -> list[Finding]:
    try:
        request = urllib.request.Request(address, method="HEAD")
        with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER):
            return []
    except (OSError, ValueError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        return [
            Finding(
                WEIGHTS_MISSING,
                f"weights {name!r} are not on this machine and cannot be fetched ({reason})",
                key,
                hint=f"fetch {address} elsewhere and put it at {cached}, set {key} to a file with --cfg-options, "
                "or start from random weights with --no-pretrained",
            )
        ]


def _address(name: str) -> str | None:
    """Where mmengine loads `name` from: an address, a path, or None where it is not known here."""
    if name.startswith(("open-mmlab://", "openmmlab://")):
        from mmengine.runner.checkpoint import get_deprecated_model_names, get_external_models

        alias = name.partition("://")[2]
        alias = get_deprecated_model_names().get(alias, alias)
        return get_external_models().get(alias, alias)
    if name.startswith(("http://", "https://")) or "://" not in name:
        return name
    return None


def check_checkpoint(key: str, path: Path, *, trusted: bool = False, resumed: bool = False) -> list[Finding]:
    """What stands against loading a checkpoint.

    Args:
        key: What in the config asks for it, or ''.
        path: The file.
        trusted: Whoever runs this trusts whoever wrote it.
        resumed: It is resumed from, not only its weights loaded.
    """
    try:
        foreign = foreign_globals(path)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        hint = "remove it to go on from an older one (write its path into last_checkpoint)" if resumed else None
        return [Finding(CHECKPOINT_UNREADABLE, f"checkpoint {str(path)!r} cannot be read: {reason}", key, hint)]
    if trusted:
        return []
    findings = []
    if foreign:
        findings.append(
            Finding(
                NOT_PLAIN_DATA,
                f"checkpoint {str(path)!r} holds more than plain data: {some(foreign, 6)}",
                key,
                hint="if you trust whoever wrote it: --trust-checkpoint. Loading it can run code that it brings",
            )
        )
    elif resumed and "config" in _meta(path):
        findings.append(
            Finding(
                CHECKPOINT_WITH_CODE,
                f"checkpoint {str(path)!r} has a config as text under meta.config, which mmengine would execute",
                key,
                hint="if you trust whoever wrote it: --trust-checkpoint",
            )
        )
    return findings


def foreign_globals(path: Path) -> list[str]:
    """Names of the classes and functions in a checkpoint that torch's safe loading refuses, sorted. Runs none of it.

    Raises:
        OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError: It is not a whole checkpoint.
    """
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    lister = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)  # torch >= 2.6
    if lister is not None and zipfile.is_zipfile(path):
        return sorted(lister(str(path)))
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError as error:
        found = _global_in(str(error))
        if found is None:
            raise
        return [found]
    return []


def _global_in(message: str) -> str | None:
    """The name in torch's refusal: `Unsupported global: GLOBAL builtins.getattr was not ...`."""
    _, marker, rest = message.partition("GLOBAL ")
    return rest.split()[0] if marker and rest.split() else None


def _meta(path: Path) -> dict[str, Any]:
    # Memory-mapped: the tensors, which are nearly all of the file, are not read.
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    meta = loaded.get("meta") if isinstance(loaded, dict) else None
    return meta if isinstance(meta, dict) else {}
