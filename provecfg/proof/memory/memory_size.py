"""Amounts of memory, as people write them. Nothing heavy is imported here."""

from __future__ import annotations

import re

from provecfg.errors import ProvecfgError

MIB = 2**20
GIB = 2**30

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": MIB,
    "gib": GIB,
    "tib": 2**40,
}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-zA-Z]*)\s*")


def parse_memory(text: str) -> int:
    """Bytes of an amount of memory: `24GiB`, `24 GB`, `512MiB`, or a plain number of bytes.

    Raises:
        ProvecfgError: It is none, or less than a byte.
    """
    match = _AMOUNT.fullmatch(text)
    factor = _UNITS.get(match[2].lower()) if match else None
    amount = int(float(match[1]) * factor) if match and factor else 0
    if amount < 1:
        raise ProvecfgError(
            f"{text!r} is not an amount of memory",
            hint="a number with MiB, GiB, MB or GB behind it, such as 24GiB; without a unit it counts bytes",
        )
    return amount


def gib(amount: float) -> str:
    """An amount of bytes in GiB, with one decimal, or two below one GiB."""
    return f"{amount / GIB:.1f} GiB" if amount >= GIB else f"{amount / GIB:.2f} GiB"
