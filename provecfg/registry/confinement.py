"""A process that imports what others wrote, without network, and with one folder to write into."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_NETWORK: Final = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
_PROCESSES: Final = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile")
"""What another process does, this one cannot refuse."""
_PATHS: Final = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
    "shutil.rmtree": ((0, 1),),
}
"""What changes files -> of each path that it changes, which argument it is, and which is the folder that it is relative
to, as the table of audit events in Python's documentation has them."""
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HOMES: Final = ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TORCH_HOME")
_TEMPORARY: Final = ("TMPDIR", "TEMP", "TMP", "MPLCONFIGDIR")


def confine(folder: Path) -> None:
    """Refuse what the rest of this process does outside of a folder; there is no way back.

    It holds for what goes through Python (PEP 578), so it keeps packages from leaving caches and from asking servers,
    as some do when they are imported; it is no wall against code that means harm.

    Args:
        folder: Where files may be written, and caches and temporary files go. The process has to stand elsewhere: what
            `os.open` is given is relative to a folder that nothing tells, and is taken for relative to this one.

    Raises:
        PermissionError: Later, in whatever tries it.
    """
    inside = os.path.realpath(folder) + os.sep

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NETWORK or event in _PROCESSES:
            raise PermissionError(f"{event} is refused while a snapshot is made")
        for path in _changed_paths(event, arguments):
            if path != os.devnull and not os.path.realpath(path).startswith(inside):
                raise PermissionError(f"{path} is not to be written while a snapshot is made")

    for name in (*_HOMES, *_TEMPORARY):
        os.environ[name] = inside
    sys.dont_write_bytecode = True
    sys.addaudithook(refuse)


def _changed_paths(event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, (str, bytes, os.PathLike)) and _writes(mode, flags):
            yield os.fsdecode(path)
        return
    for index, of_folder in _PATHS.get(event, ()):
        path = arguments[index]
        if not isinstance(path, (str, bytes, os.PathLike)):
            continue  # an open file, which was allowed when it was opened
        folder = arguments[of_folder] if of_folder is not None and of_folder < len(arguments) else None
        is_relative = isinstance(folder, int) and folder != -1
        yield os.path.join(_path_of(folder), os.fsdecode(path)) if is_relative else os.fsdecode(path)


def _path_of(descriptor: Any) -> str:
    """The folder that a file descriptor stands for, or one that nobody may write to."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.sep


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITING)
