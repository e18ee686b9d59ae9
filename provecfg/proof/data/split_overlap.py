"""Whether training and validation read the same images."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from provecfg.files import open_regular, status_of
from provecfg.findings import Finding
from provecfg.proof.data.problems import SPLITS_OVERLAP
from provecfg.proof.data.sample_reader import leaves
from provecfg.spelling import first_few as some

_HEAD = 4096  # bytes; a picture's first blocks tell it from most others of its length


def image_files(dataset: Any, key: str) -> list[str]:
    """The image files of a dataset, wrappers and all."""
    files: dict[str, None] = {}
    for leaf, _ in leaves(dataset, key):
        for index in range(len(leaf)):
            path = leaf.get_data_info(index).get("img_path")
            if isinstance(path, str):
                files[path] = None
    return list(files)


def check_overlap(train: Iterable[str], val: Iterable[str], key: str, seconds: float) -> Iterator[Finding]:
    """Images that both splits read: the same file, or another of the same content.

    Args:
        train, val: Files of the images.
        key: Dotted path of the validation's dataset.
        seconds: After this time no further content is compared.
    """
    trained = {os.path.realpath(path): path for path in train}
    val = list(val)
    same = [path for path in val if os.path.realpath(path) in trained]
    if same:
        yield _finding(f"{len(same)} of {len(val)} validation images are training images", same, key)
        return
    copies = [path for path, _ in _copies(trained.values(), val, seconds)]
    if copies:
        yield _finding(f"{len(copies)} of {len(val)} validation images are copies of training images", copies, key)


def _finding(message: str, paths: list[str], key: str) -> Finding:
    names = some([os.path.basename(path) for path in paths])
    return Finding(SPLITS_OVERLAP, f"{message}: {names}", f"{key}.data_prefix.img_path", hint="split the data anew")


def _copies(train: Iterable[str], val: Iterable[str], seconds: float) -> Iterator[tuple[str, str]]:
    """Validation images with a training image of the same bytes."""
    until = time.monotonic() + seconds
    by_size: dict[int, list[str]] = {}
    for path in train:
        by_size.setdefault(_length(path), []).append(path)
    digests: dict[str, bytes] = {}

    def head(path: str) -> bytes:
        if path not in digests:
            digests[path] = _digest(path, _HEAD)
        return digests[path]

    for path in val:
        if time.monotonic() > until:
            return
        length = _length(path)
        for other in by_size.get(length, ()) if length >= 0 else ():
            if head(path) == head(other) and _digest(path, None) == _digest(other, None):
                yield path, other
                break


def _length(path: str) -> int:
    try:
        return status_of(Path(path), max_bytes=None).st_size
    except OSError:  # stored elsewhere, gone, or no file: nothing to compare
        return -1


def _digest(path: str, length: int | None) -> bytes:
    with open_regular(Path(path)) as file:
        return hashlib.blake2b(file.read() if length is None else file.read(length)).digest()
