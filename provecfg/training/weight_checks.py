"""The weights that a run loads, looked at before training: that they are there, and hold nothing but data."""

from __future__ import annotations

import dataclasses
import pickle
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.config import Config

from provecfg.checksums import ChecksumError, verify_checksum
from provecfg.findings import Finding
from provecfg.spelling import first_few
from provecfg.training.adapt import pretrained_of
from provecfg.training.problems import (
    CHECKPOINT_BROKEN,
    CHECKPOINT_UNREADABLE,
    CHECKPOINT_WITH_CODE,
    LOAD_FROM_DROPPED,
    NOT_PLAIN_DATA,
    WEIGHTS_MISSING,
)
from provecfg.training.work_dir import BrokenCheckpoint, WorkDir, checkpoints_of

_SECONDS_TO_ANSWER = 5
_READING_ERRORS = (
    ChecksumError,
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def check_weights(config: Config, *, trusted: bool = False, resumed: bool = False) -> list[Finding]:
    """What is wrong with the weights that the model and the run start from.

    Args:
        config: Its `init_cfg` of type Pretrained, `pretrained` and `load_from`.
        trusted: Load files that hold more than data.
        resumed: The run goes on from a checkpoint of its own, instead of `load_from`.
    """
    keys: dict[str, str] = {}  # of the weights, each said once
    for key, name in pretrained_of(config):
        keys.setdefault(name, key)
    if config.get("load_from") and not resumed:
        keys.setdefault(str(config.load_from), "load_from")
    findings: list[Finding] = []
    for name, key in keys.items():
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


def check_dropped(load_from: str | None) -> list[Finding]:
    """What `--no-pretrained` leaves out beside the weights that the model starts from.

    Args:
        load_from: The config's, or None.
    """
    if not load_from:
        return []
    return [
        Finding(
            LOAD_FROM_DROPPED,
            f"--no-pretrained starts from random weights: load_from {load_from!r} is not loaded",
            "load_from",
            hint="leave --no-pretrained out to load it",
        )
    ]


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
        resumed: It is resumed from, not only its weights loaded; it was found whole (see `with_whole_checkpoint`).
    """
    try:
        if not resumed:
            verify_checksum(path)
        foreign = foreign_globals(path)
    except _READING_ERRORS as error:
        return [Finding(CHECKPOINT_UNREADABLE, f"checkpoint {str(path)!r} cannot be read: {_first_line(error)}", key)]
    if trusted:
        return []
    findings = []
    if foreign:
        findings.append(
            Finding(
                NOT_PLAIN_DATA,
                f"checkpoint {str(path)!r} holds more than plain data: {first_few(foreign, 6)}",
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


def with_whole_checkpoint(work_dir: WorkDir) -> WorkDir:
    """The work dir with the newest checkpoint that is whole, and those that come before it and are not.

    Where none is whole, the newest stays the one to go on from, and is among the broken. Each that is looked at is
    read to its end once, to compare it with its checksum.
    """
    broken: list[BrokenCheckpoint] = []
    for checkpoint in checkpoints_of(work_dir.path):
        reason = _why_broken(checkpoint)
        if reason is None:
            return dataclasses.replace(work_dir, checkpoint=checkpoint, broken=tuple(broken))
        broken.append(BrokenCheckpoint(checkpoint, reason))
    return dataclasses.replace(work_dir, broken=tuple(broken))


def check_resumed(work_dir: WorkDir, *, trusted: bool = False) -> list[Finding]:
    """What stands against going on in a work dir that `with_whole_checkpoint` has looked at."""
    if work_dir.resume_from is None:
        return []
    if any(broken.path == work_dir.resume_from for broken in work_dir.broken):
        names = ", ".join(f"{broken.path.name} ({broken.reason})" for broken in work_dir.broken)
        message = f"no checkpoint in {str(work_dir.path)!r} can be gone on from: {names}"
        return [Finding(CHECKPOINT_UNREADABLE, message, "work_dir", hint="move them away to begin anew")]
    findings = [
        Finding(
            CHECKPOINT_BROKEN,
            f"checkpoint {str(broken.path)!r} is broken ({broken.reason}); the run goes on from "
            f"{work_dir.resume_from.name}",
            "work_dir",
        )
        for broken in work_dir.broken
    ]
    return findings + check_checkpoint("", work_dir.resume_from, trusted=trusted, resumed=True)


def _why_broken(checkpoint: Path) -> str | None:
    try:
        verify_checksum(checkpoint)
        foreign_globals(checkpoint)
    except _READING_ERRORS as error:
        return _first_line(error)
    return None


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
        refused = _global_in(str(error))
        if refused is None:
            raise
        return [refused]
    return []


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _global_in(message: str) -> str | None:
    """The name in torch's refusal: `Unsupported global: GLOBAL builtins.getattr was not ...`."""
    _, marker, rest = message.partition("GLOBAL ")
    return rest.split()[0] if marker and rest.split() else None


def _meta(path: Path) -> dict[str, Any]:
    # Memory-mapped: the tensors, which are nearly all of the file, are not read.
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    meta = loaded.get("meta") if isinstance(loaded, dict) else None
    return meta if isinstance(meta, dict) else {}
