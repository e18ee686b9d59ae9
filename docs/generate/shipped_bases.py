"""Write mmsegmentation's configs into the package: `python -m docs.generate.shipped_bases [--check]`.

They are those of the installed mmsegmentation (Apache 2.0), text by text, since findings point into them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.generate.zoo import installed_configs
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.mmconfig.shipped_bases import ARCHIVE, ShippedBases, packed, shipped_bases
from provecfg.paths import write_bytes_atomically


def installed_bases() -> ShippedBases:
    """What the archive should hold.

    Raises:
        ProvecfgError: mmsegmentation is not installed.
    """
    release, folder = installed_configs()
    return ShippedBases(release, {_name(path, folder): path.read_text("utf-8") for path in folder.rglob("*.py")})


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def main(arguments: list[str]) -> int:
    """Write the archive, or with --check say whether it is what would be written."""
    try:
        bases = installed_bases()
    except ProvecfgError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    is_fresh = ARCHIVE.is_file() and shipped_bases() == bases
    if not is_fresh and "--check" in arguments:
        print(f"{ARCHIVE} is out of date: python -m docs.generate.shipped_bases", file=sys.stderr)
        return ExitCode.FINDINGS
    if not is_fresh:
        ARCHIVE.parent.mkdir(exist_ok=True)
        write_bytes_atomically(ARCHIVE, packed(bases))
    return ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
