"""The one place that knows where provecfg's own files are."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def templates_dir() -> Path:
    """The templates: inside an installed package, or in the checkout of an editable install."""
    packaged = _PACKAGE / "_templates"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "templates"


def cache_dir() -> Path:
    """Where what can be made again is kept: `$PROVECFG_HOME`, or else `provecfg` in the user's cache folder."""
    home = os.environ.get("PROVECFG_HOME")
    if home:
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "provecfg"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` beside `path`, then rename it there: a reader sees the old file or the new, never a part.

    Args:
        path: Where to; missing parents are made. An existing file keeps its mode.
        text: Written as UTF-8 with the line ends it has.
    """
    import tempfile  # takes longer to import than all the rest of this module

    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
