"""What a cell has printed, and mmengine's log of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from provecfg.files import open_regular

CONSOLE: Final = "console.log"
"""In the work dir: what the processes of the run have printed, all its lives."""

_FIRST_BYTES: Final = 20_000
"""Of a log that is shown for the first time, the end of it."""


def logs_of(work_dir: Path) -> list[Path]:
    """The logs of a work dir that are there: what was printed, then the newest of mmengine's."""
    console = work_dir / CONSOLE
    of_mmengine = sorted(work_dir.glob("*/*.log"))
    return [*([console] if console.is_file() else []), *of_mmengine[-1:]]


class Tail:
    """The end of a file, then what is added to it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to: int | None = None

    def more(self) -> str:
        """What was not given yet, in whole lines; '' where there is nothing new, or the file is gone."""
        with suppress(OSError), open_regular(self._path) as stream:
            size = stream.seek(0, os.SEEK_END)
            start = max(0, size - _FIRST_BYTES) if self._read_to is None or self._read_to > size else self._read_to
            stream.seek(start)
            data = stream.read(size - start)
            if start and self._read_to is None:
                data = data.partition(b"\n")[2]
            whole = data.rfind(b"\n") + 1
            self._read_to = size - (len(data) - whole)
            return data[:whole].decode("utf-8", "replace").rstrip("\n")
        return ""
