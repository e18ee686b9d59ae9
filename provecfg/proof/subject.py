"""What is proved: one config."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from provecfg.mmconfig.view import ConfigView


@dataclass(frozen=True, slots=True)
class Subject:
    """A config as a check of the proof is given it.

    Args:
        path: Its file, absolute.
        config: As mmengine loads it, with `--cfg-options` and nothing else changed. Copy it before changing it.
        view: The same config as data, for the places that the file's values come from; None where it cannot be read.
        device: `cpu` or `cuda`.
        data_root: Where its datasets are, if that was said: the data is looked at only then.
        work_dir: An empty folder for what is to be written meanwhile; it is removed afterwards.
    """

    path: Path
    config: Config
    view: ConfigView | None
    device: str
    data_root: Path | None
    work_dir: Path


@contextlib.contextmanager
def nothing_printed() -> Iterator[None]:
    """Keep what the stack prints and logs while it is built from the report."""
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
