from __future__ import annotations

import subprocess
import sys

import pytest

from provecfg.errors import ProvecfgError
from provecfg.proof.memory.memory_size import GIB, gib, parse_memory


@pytest.mark.parametrize(
    ("text", "amount"),
    [("24GiB", 24 * GIB), ("24 GB", 24 * 10**9), ("512MiB", GIB // 2), ("1.5gib", 3 * GIB // 2), ("1000", 1000)],
)
def test_amounts_are_read_with_their_unit(text: str, amount: int) -> None:
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "GiB", "24 gigs", "-1GiB", "0", "1e9", "24GiB and more"])
def test_what_is_no_amount_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ProvecfgError, match="is not an amount of memory") as error:
        parse_memory(text)

    assert repr(text) in error.value.message
    assert error.value.hint is not None


def test_amounts_are_written_in_gib() -> None:
    assert gib(24 * GIB) == "24.0 GiB"
    assert gib(GIB / 4) == "0.25 GiB"


def test_reading_an_amount_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import provecfg.proof.memory.memory_size"

    subprocess.run([sys.executable, "-c", code], check=True)
