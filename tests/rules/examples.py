"""The examples of a rule as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

NEED_RELEASE: Final = {"LOSS013": "openmmlab"}
"""Rules about a mistake that only one release of the stack punishes."""
_FILE = re.compile(r"^([\w/]+\.(?:py|yaml|json)):\n", re.MULTILINE)


def write_example(example: str, folder: Path) -> Path:
    """Write an example; lines `name.py:` start further files.

    Returns:
        Its first file, config.py.
    """
    parts = _FILE.split(example + "\n")
    for name, text in zip(["config.py", *parts[1::2]], parts[0::2], strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "config.py"
