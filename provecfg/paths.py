"""The one place that knows where provecfg's own files are, and the one way in which it writes files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.files import NotRegularError, kind_of

_PACKAGE = Path(__file__).parent
_PREFIX_LENGTH = 40
"""Characters of a file's name that the name of its part begins with; a whole name could make that too long."""


def templates_dir() -> Path:
    """The templates: inside an installed package, or in the checkout of an editable install."""
    packaged = _PACKAGE / "_templates"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "templates"


def cache_dir() -> Path:
    """Where what can be made again is kept: `$PROVECFG_HOME`, or else `provecfg` in the user's cache folder.

    Raises:
        FileNotFoundError: There is no such folder, since the user has no home.
    """
    home = os.environ.get("PROVECFG_HOME")
    if home:
        return Path(home).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "provecfg"
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "you have no home folder; set PROVECFG_HOME", "~/.cache") from error


def write_atomically(path: Path, text: str) -> None:
    """Write `text` beside `path`, then rename it there: a reader sees the old file or the new, never a part.

    Args:
        path: Where to; missing parents are made. An existing file keeps its mode; of a link, the file that it points to
            is written. A device, such as /dev/stdout, or a pipe that is being read takes the text as it is.
        text: Written as UTF-8 with the line ends it has.

    Raises:
        ProvecfgError: It cannot be written, for whatever reason the system has; names the path and the reason. What
            was there is as it was.
    """
    try:
        write_bytes_atomically(path, text.encode("utf-8"))
    except (OSError, ValueError) as error:  # ValueError: a null in the name, half of a character in the text
        raise ProvecfgError(f"cannot write {path}: {_reason(error)}") from error


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """The same of bytes, for those to whom a full disk means something: it raises the OSError itself."""
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if not target.exists():
            raise FileNotFoundError(errno.ENOENT, f"it is a link to {target}, which does not exist")
        path = target
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG | (0o666 & ~_umask())
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        _write_through(path, data)
    elif stat.S_ISREG(mode):
        _replace(path, data, mode & 0o777)
    else:
        raise NotRegularError(errno.EINVAL, f"it is {kind_of(mode)}")


def _replace(path: Path, data: bytes, mode: int) -> None:
    import tempfile  # takes longer to import than all the rest of this module

    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:_PREFIX_LENGTH]}.", suffix=".part")
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
        os.chmod(part, mode)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _write_through(path: Path, data: bytes) -> None:
    """Write to what cannot be replaced. A pipe that nobody reads is an error: waiting for a reader may last forever."""
    try:
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "it is a pipe that nobody reads") from error
        raise
    os.set_blocking(descriptor, True)
    with open(descriptor, "wb") as stream:
        stream.write(data)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileExistsError):  # of making the parents
        return f"{error.filename} is not a folder"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
