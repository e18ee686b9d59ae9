"""mmsegmentation's own configs as they ship with provecfg: for where mmsegmentation is not installed, and for studies.

`python -m docs.generate.shipped_bases` writes the archive. Its files are read as if they stood in a folder of that
name; nothing is unpacked.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from provecfg.mmconfig.files import UnreadableError
from provecfg.mmconfig.problems import MISSING_FILE

PACKAGE: Final = "mmseg"
"""The package that a config names them by: `mmseg::pspnet/...`."""
ARCHIVE: Final = Path(__file__).with_name("data") / "mmseg_configs.json.xz"
FOLDER: Final = ARCHIVE / f"{PACKAGE}::"
"""Where the files stand; a path below it is shown from the package on, as a config names it."""
_BELOW_FOLDER: Final = f"{FOLDER}{os.sep}"


class ShippedBases(NamedTuple):
    """The archive.

    Args:
        release: Name and version of the distribution that they are from.
        texts: Each file's text, by its path below `FOLDER`.
    """

    release: str
    texts: Mapping[str, str]


@functools.cache
def shipped_bases() -> ShippedBases:
    """The archive, unpacked into memory: half a megabyte, 20 ms."""
    import lzma  # few configs need the archive

    content = json.loads(lzma.decompress(ARCHIVE.read_bytes()))
    return ShippedBases(content["release"], MappingProxyType(content["texts"]))


def packed(bases: ShippedBases) -> bytes:
    """The archive's bytes; the same for the same files."""
    import lzma

    content = {"release": bases.release, "texts": dict(sorted(bases.texts.items()))}
    return lzma.compress(json.dumps(content, indent=0).encode(), preset=9 | lzma.PRESET_EXTREME)


def is_shipped(path: Path) -> bool:
    """Whether an absolute path is one of the archive's."""
    return str(path).startswith(_BELOW_FOLDER)  # pathlib takes both apart: a twentieth of reading


def shipped_text(path: Path) -> str:
    """The text of a file of the archive, by its absolute path.

    Raises:
        UnreadableError: There is none of that name.
    """
    bases = shipped_bases()
    name = path.relative_to(FOLDER).as_posix()
    if name not in bases.texts:
        raise UnreadableError(MISSING_FILE, f"{name} is no config of {bases.release}")
    return bases.texts[name]


_BATCHES: Final = re.compile(r"\d+xb\d+")
"""GPUs and images on each, which names have had since mmsegmentation 1.0."""


def namesakes(name: str) -> list[str]:
    """The configs that a name may mean: of the same words in any order, as those of mmsegmentation 0.x had them.

    Args:
        name: A path or name of a config, with its ending.

    Returns:
        Each as a config names it as its base, in order.
    """
    words = _words(name)
    return [f"{PACKAGE}::{path}" for path in sorted(shipped_bases().texts) if _words(path) == words]


def _words(path: str) -> list[str]:
    """The words of a file's name, without those for GPUs and batch, sorted."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return sorted(word for word in re.split("[_-]", stem) if word and not _BATCHES.fullmatch(word))


@functools.cache
def whole_configs() -> Mapping[str, str]:
    """The configs that are no bases of others only: short name, and path below `FOLDER`, in order."""
    paths = sorted(path for path in shipped_bases().texts if path.count("/") == 1 and not path.startswith("_base_/"))
    return MappingProxyType({path.rpartition("/")[2].removesuffix(".py"): path for path in paths})
