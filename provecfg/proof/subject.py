"""What is proved: one config."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger

from provecfg.proof.declared.loading import LoadedFile


@dataclass(frozen=True, slots=True)
class Subject:
    """A config as a check of the proof is given it.

    Args:
        path: Its file, absolute.
        config: As mmengine loads it, with `--cfg-options` and nothing else changed. Copy it before changing it.
        device: `cpu` or `cuda`.
        data_root: Where its datasets are, if that was said: the data is looked at only then.
        work_dir: An empty folder for what is to be written meanwhile; it is removed afterwards.
        files: Its file and its bases as mmengine loaded them, each after its bases.
        gpu_memory: Bytes of the GPU that it is to train on; None for the one that torch sees.
        thorough: Whether what takes long is tried, too.
    """

    path: Path
    config: Config
    device: str
    data_root: Path | None
    work_dir: Path
    files: Sequence[LoadedFile] = ()
    gpu_memory: int | None = None
    thorough: bool = False


@contextlib.contextmanager
def nothing_printed() -> Iterator[None]:
    """Keep what the stack prints and logs while it is built from the report."""
    _disable_logging(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        _disable_logging(logging.NOTSET)


def _disable_logging(level: int) -> None:
    logging.disable(level)
    # mmengine's loggers remember what is enabled, and only this makes all of them forget it.
    logger = MMLogger.get_current_instance()
    logger.setLevel(logger.level)
