"""The parts of mmsegmentation's own configs, which their classes were found to accept when the snapshot was made.

Most parts of any config are these. To look one up costs a hundredth of what following its class's source does.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from provecfg.registry.release import DATA_DIR

_DIGEST_SIZE: Final = 6
"""Bytes. With ten thousand parts known, one of a million others is taken for one of them with a chance of 0.00004."""


def accepted_file(release: str) -> Path:
    """Where they are kept."""
    return DATA_DIR / f"{release}_accepted.json"


def digest(part: str) -> bytes:
    """What is kept of a part: its class or method, and the source of its value."""
    return hashlib.blake2b(part.encode(), digest_size=_DIGEST_SIZE).digest()


@functools.cache
def accepted_parts(release: str) -> frozenset[bytes]:
    """The digests of the parts that a release accepts; none where they were not made."""
    try:
        packed = base64.b64decode(json.loads(accepted_file(release).read_text(encoding="utf-8"))["digests"])
    except FileNotFoundError:
        return frozenset()
    return frozenset(packed[start : start + _DIGEST_SIZE] for start in range(0, len(packed), _DIGEST_SIZE))


def accepted_text(configs: str, parts: Iterable[str]) -> str:
    """The content of the file.

    Args:
        configs: Whose parts they are.
        parts: They.
    """
    digests = b"".join(sorted({digest(part) for part in parts}))
    return json.dumps({"configs": configs, "digests": base64.b64encode(digests).decode()}, indent=0) + "\n"
