"""Decoded label maps, kept so that each is mapped once and not in every epoch."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from provecfg.data.encodings import LabelDecoder, LabelError, read_pixels
from provecfg.paths import cache_dir, write_bytes_atomically


def cached_labels(path: Path, decoder: LabelDecoder) -> np.ndarray:
    """The classes of a label map: kept ones where the file and its meaning are the same, else decoded and kept.

    Several processes may do so at once: a file is there whole or not at all. Where nothing can be kept, it is decoded.

    Args:
        path: The label map.
        decoder: What its values mean.

    Returns:
        (H, W) uint8.

    Raises:
        LabelError: As `LabelDecoder.read`.
    """
    try:
        status = path.stat()
    except OSError:
        return decoder.read(path)  # which says what is wrong
    of_file = f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\0{decoder.digest}"
    name = hashlib.sha256(of_file.encode()).hexdigest()
    kept = cache_dir() / "labels" / name[:2] / f"{name[2:]}.png"
    if kept.is_file():
        with contextlib.suppress(LabelError):  # a disk's fault; it is written anew
            return read_pixels(kept)
    labels = decoder.read(path)
    stream = io.BytesIO()
    Image.fromarray(labels).save(stream, "PNG", compress_level=1)
    with contextlib.suppress(OSError):  # a full disk, or a cache of another user's
        write_bytes_atomically(kept, stream.getvalue())
    return labels
