"""A process that imports what others wrote, without network, and with one folder to write into."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

_NETWORK: Final = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
_PROCESSES: Final = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
"""What another process does, this one cannot refuse."""
_PATHS: Final = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}
"""What changes files -> how many of its first arguments are paths."""
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(folder: Path) -> None:
    """Refuse what the rest of this process does outside of a folder; there is no way back.

    It holds for what goes through Python (PEP 578), so it keeps packages from leaving caches and from asking servers,
    as some do when they are imported; it is no wall against code that means harm.

    Args:
        folder: Where files may be written. Caches that heed the environment are sent there beforehand.

    Raises:
        PermissionError: Later, in whatever tries it.
    """
    inside = os.path.realpath(folder)
    allowed = (inside + os.sep, os.devnull)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NETWORK or event in _PROCESSES:
            raise PermissionError(f"{event} is refused while a snapshot is made")
        if event == "open" and _writes(*arguments[1:3]):
            paths = arguments[:1]
        else:
            paths = arguments[: _PATHS.get(event, 0)]
        for path in paths:
            if isinstance(path, (str, bytes, os.PathLike)) and not os.path.realpath(os.fsdecode(path)).startswith(
                allowed
            ):
                raise PermissionError(f"{os.fsdecode(path)} is not to be written while a snapshot is made")

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TORCH_HOME", "MPLCONFIGDIR", "TMPDIR"):
        os.environ[name] = inside
    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)
