"""What a fuzzer is given to begin with, and what is said of what it makes; the fuzzer itself is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.attack import coverage_guided
from tests.attack.bounds import MAX_SECONDS, measured
from tests.attack.coverage_guided import SUFFIXES, confirmed, fault_of_input, seeds, with_figures


@pytest.mark.parametrize("suffix", sorted(set(SUFFIXES)))
def test_the_inputs_to_begin_with_are_harmless(suffix: str, tmp_path: Path) -> None:
    chosen = [data for data in seeds() if SUFFIXES[data[0]] == suffix]
    assert chosen
    for data in chosen[:: max(1, len(chosen) // 8)]:
        outcome = measured(lambda data=data: fault_of_input(data, tmp_path), tmp_path)  # type: ignore[misc]
        assert (outcome.fault(3 * MAX_SECONDS), outcome.result) == (None, None), data[:200]


def test_a_find_is_confirmed_by_its_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finds = tmp_path / "finds"
    finds.mkdir()
    for name in ("harmless", "raises"):
        (finds / name).write_bytes(b"\0" + name.encode())

    def fault(data: bytes, folder: Path) -> Any:
        if data.endswith(b"raises"):
            raise ValueError("a fault")

    monkeypatch.setattr(coverage_guided, "fault_of_input", fault)
    (confirmed_find,) = confirmed(finds, tmp_path).items()
    assert confirmed_find[0] == "raises"
    assert confirmed_find[1].endswith("ValueError: a fault\n")


def test_its_figures_are_the_last_section_of_the_page() -> None:
    page = with_figures("# Reliability\n", tried=1000, kept=20, branches=300, finds=0, seconds=60)
    again = with_figures(page, tried=2000, kept=30, branches=400, finds=1, seconds=60)
    assert page.startswith("# Reliability\n\n## A coverage-guided run\n\n")
    assert "1,000 files, 20 of which reached something new, 300 branches in all;\nno finds." in page
    assert "2,000 files, 30 of which reached something new, 400 branches in all;\n1 finds." in again
    assert (again.count("##"), page.count("##")) == (1, 1)
