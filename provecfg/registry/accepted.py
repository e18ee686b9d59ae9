"""The parts of mmsegmentation's own configs and of the loss study's, which their classes were found to accept.

Most parts of any config are these. To look one up costs a hundredth of what following its class's source does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from provecfg.registry.release import DATA_DIR

_DIGEST_SIZE: Final = 6
"""Bytes. With ten thousand parts known, one of a million others is taken for one of them with a chance of 0.00004."""


def accepted_file(release: str) -> Path:
    """Where they are kept."""
    return DATA_DIR / f"{release}_accepted.json"


def digest(part: str) -> bytes:
    """What is kept of a part: its class or method, and the source of its value."""
    return hashlib.blake2b(part.encode(), digest_size=_DIGEST_SIZE).digest()


class Accepted(NamedTuple):
    """What a release's own configs are evidence of.

    Args:
        parts: Digests of the parts that their classes accept.
        misdescribed: Arguments, as `argument_name` writes them, that a shipped config gives a value of another kind
            than annotation and docstring state, so that these are not to be trusted.
    """

    parts: frozenset[bytes] = frozenset()
    misdescribed: frozenset[str] = frozenset()


def argument_name(dotted: str, name: str) -> str:
    """An argument of a class, by the class's dotted name."""
    return f"{dotted}({name})"


_KNOWN: Final[dict[str, Accepted]] = {}
"""By release, once it was asked for."""


def accepted(release: str) -> Accepted:
    """What is known of a release; nothing where it was not made."""
    if release not in _KNOWN:
        _KNOWN[release] = _read(accepted_file(release))
    return _KNOWN[release]


def forget(release: str) -> None:
    """Know nothing of a release as long as the process goes on: every part of its configs is followed anew."""
    _KNOWN[release] = Accepted()


def _read(file: Path) -> Accepted:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Accepted()
    packed = base64.b64decode(data["digests"])
    digests = (packed[start : start + _DIGEST_SIZE] for start in range(0, len(packed), _DIGEST_SIZE))
    return Accepted(frozenset(digests), frozenset(data["misdescribed"]))


def accepted_text(configs: str, parts: Iterable[bytes], misdescribed: Iterable[str]) -> str:
    """The content of the file.

    Args:
        configs: Whose parts they are.
        parts: Their digests.
        misdescribed: See `Accepted`.
    """
    data = {
        "configs": configs,
        "misdescribed": sorted(misdescribed),
        "digests": base64.b64encode(b"".join(sorted(set(parts)))).decode(),
    }
    return json.dumps(data, indent=0) + "\n"
