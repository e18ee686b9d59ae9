"""The file that holds the fingerprint of a dataset: found beside a config, and read. Nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from provecfg.errors import ProvecfgError
from provecfg.files import read_json
from provecfg.header import Header

SUFFIX: Final = ".fingerprint.json"
"""Of the file's name, after the dataset's."""
FORMAT: Final = 1


def read_fingerprint(path: Path) -> dict[str, Any]:
    """A fingerprint that was written.

    Raises:
        ProvecfgError: It is none, or of another format.
    """
    try:
        fingerprint = read_json(path)
    except (OSError, ValueError) as error:
        raise ProvecfgError(
            f"fingerprint {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not isinstance(fingerprint, dict) or fingerprint.get("format") != FORMAT or "splits" not in fingerprint:
        raise ProvecfgError(f"{path} is no fingerprint of this version", hint="write it anew: provecfg init DIR")
    return fingerprint


def recorded_fingerprint(path: Path, text: str) -> Path | None:
    """The fingerprint of the data of a generated config, where it lies beside the config, its folder or here.

    Args:
        path: The config.
        text: Of it; its header names the dataset.
    """
    header = Header.of(text)
    if header is None or header.cell is None:
        return None
    folders = (path.absolute().parent, path.absolute().parent.parent, Path.cwd())
    files = (folder / f"{header.cell.dataset}{SUFFIX}" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def recorded_digest(recorded: Path | None) -> str | None:
    """The digest of a fingerprint, for the record of a run; None where there is none that can be read."""
    if recorded is None:
        return None
    try:
        return str(read_fingerprint(recorded)["digest"])
    except ProvecfgError:
        return None
