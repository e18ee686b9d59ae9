"""What is the user's to fix, and the exit codes of the command line."""

from __future__ import annotations

import enum
import os
from typing import Final

OF_TRAIN: Final = frozenset({"cv2", "mmcv", "mmdet", "mmengine", "mmseg", "numpy", "PIL", "rich", "scipy", "torch"})
"""Packages that the extra `train` brings, and that the core goes without."""

FULL_ERROR: Final = "PROVECFG_FULL_ERROR"
"""The environment variable that asks for tracebacks."""


class ExitCode(enum.IntEnum):
    """Exit codes, the same for every command and output format."""

    CLEAN = 0
    FINDINGS = 1
    """Findings of severity error (with --strict, warnings too), or a run that failed."""
    USAGE = 2
    """Wrong usage, bad settings, or a target that does not exist."""
    REQUEUE = 75
    """A run stopped at a checkpoint, and asks to be started again (EX_TEMPFAIL of sysexits.h)."""
    INTERRUPTED = 130


class ProvecfgError(Exception):
    """Something that the user can mend, said in words; caught in one place, `cli.main`.

    Args:
        message: Names the thing and the value that is wrong.
        hint: What to do about it.
        exit_code: What the command line exits with.
    """

    def __init__(self, message: str, *, hint: str | None = None, exit_code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


def missing_package(error: ModuleNotFoundError) -> ProvecfgError | None:
    """What to say of an import that failed, where the extra `train` brings what is missing; else None."""
    package = (error.name or "").partition(".")[0]
    if package not in OF_TRAIN:
        return None
    return ProvecfgError(f"this needs {package}, which is not installed", hint="pip install 'provecfg[train]'")


def wants_traceback() -> bool:
    """Whether the user asked to see where an error came from."""
    return os.environ.get(FULL_ERROR) == "1"
