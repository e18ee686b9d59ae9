"""Checkpoints that run code where they are loaded without care: each of them would make a file, the canary."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Call:
    """What unpickles as the result of a call.

    Args:
        function: To call.
        arguments: Its arguments.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._reduced


def _code(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def _around(payload: object) -> dict[str, Any]:
    """A checkpoint of mmengine's with something in its state."""
    return {
        "meta": {"iter": 4, "epoch": 0, "seed": 1, "dataset_meta": {}},
        "state_dict": OrderedDict(weight=torch.zeros(2)),
        "message_hub": {},
        "optimizer": {},
        "param_schedulers": [],
        "payload": payload,
    }


def _saved(checkpoint: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(checkpoint, stream, **how)
    return stream.getvalue()


def _of_the_weights(canary: Path) -> bytes:
    return _saved({**_around(None), "state_dict": OrderedDict(weight=Call(exec, _code(canary)))})


def _of_the_optimizer(canary: Path) -> bytes:
    return _saved({**_around(None), "optimizer": {"state": {0: Call(eval, _code(canary))}}})


def _of_the_meta(canary: Path) -> bytes:
    return _saved({**_around(None), "meta": {"iter": Call(exec, _code(canary))}})


def _of_a_config_as_text(canary: Path) -> bytes:
    return _saved({**_around(None), "meta": {"iter": 4, "epoch": 0, "config": _code(canary)}})


def _of_the_older_format(canary: Path) -> bytes:
    return _saved(_around(Call(exec, _code(canary))), _use_new_zipfile_serialization=False)


def _as_a_pickle(canary: Path) -> bytes:
    return pickle.dumps(_around(Call(exec, _code(canary))))


def _of_the_first_protocol(canary: Path) -> bytes:
    return pickle.dumps(_around(Call(exec, _code(canary))), protocol=0)


def _in_a_checkpoint_in_the_checkpoint(canary: Path) -> bytes:
    return _saved(_around(Call(torch.storage._load_from_bytes, _of_the_older_format(canary))))


def _by_the_shell(canary: Path) -> bytes:
    return _saved(_around(Call(os.system, f"touch '{canary}'")))


def _in_an_array_of_objects(canary: Path) -> bytes:
    return _saved(_around(np.array([Call(exec, _code(canary))], dtype=object)))


def _by_the_key(canary: Path) -> bytes:
    return _saved({**_around(None), Call(exec, _code(canary)): 1})


def _as_an_exported_program(canary: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_around(Call(exec, _code(canary))), protocol=2))
        archive.writestr("archive/constants.pkl", pickle.dumps(Call(exec, _code(canary)), protocol=2))
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def _in_a_second_record(canary: Path) -> bytes:
    stream = io.BytesIO(_saved(_around(None)))
    with zipfile.ZipFile(stream, "a") as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/data.pkl", pickle.dumps(Call(exec, _code(canary)), protocol=2))
    return stream.getvalue()


MALICIOUS: dict[str, Callable[[Path], bytes]] = {
    function.__name__.strip("_").replace("_", " "): function
    for function in (
        _of_the_weights,
        _of_the_optimizer,
        _of_the_meta,
        _of_a_config_as_text,
        _of_the_older_format,
        _as_a_pickle,
        _of_the_first_protocol,
        _in_a_checkpoint_in_the_checkpoint,
        _by_the_shell,
        _in_an_array_of_objects,
        _by_the_key,
        _as_an_exported_program,
        _in_a_second_record,
    )
}
"""Makes the bytes of a checkpoint, given the path of its canary."""
