"""Hostile files of every kind: a word, an exit code, a second and 200 MB at most, and nothing executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.bounds import measured, run_command
from tests.attack.hostile_files import OPTIONS, Case, cases
from tests.attack.outcomes import difference, fault_of

KINDS: dict[str, list[Case]] = {}
for _case in cases():
    KINDS.setdefault(_case.name.partition(",")[0], []).append(_case)
_IN_QUICK, _IN_SLOW = slice(0, None, 15), slice(1, None, 3)
"""Which cases of a kind the tiers run, of the slow one each once; `make attack` runs all, and the large ones."""
SLACK = 3.0
"""Where tests run, other things do, too, and processor time is worth less."""


def fault_of_case(case: Case, folder: Path, *, slack: float = 1.0, twice: bool = True) -> str | None:
    """What is wrong with what becomes of a case, or None; with `twice`, also whether it becomes the same again."""
    folder.mkdir()
    case.lay_out(folder)
    outcomes = [measured(lambda: run_command(*case.command), folder) for _ in range(1 + twice)]
    fault = next(filter(None, (outcome.fault(case.seconds * slack) for outcome in outcomes)), None)
    if fault is None:
        written = case.command[0] == "generate" and "--check" not in case.command  # then the second time finds it
        fault = fault_of(outcomes[0].result)
        if fault is None and not written:
            fault = difference(outcomes[0].result, outcomes[-1].result)
    if fault is None and (folder / "pwned").exists():
        fault = "it was executed"
    return None if fault is None else f"{case.name}, {' '.join(case.command)[:100]}: {fault}"


def check(chosen: list[Case], folder: Path, *, twice: bool) -> None:
    faults = [
        fault
        for index, case in enumerate(chosen)
        if (fault := fault_of_case(case, folder / str(index), slack=SLACK, twice=twice))
    ]
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("kind", KINDS)
def test_some_hostile_files_are_harmless(kind: str, tmp_path: Path) -> None:
    check(KINDS[kind][_IN_QUICK], tmp_path, twice=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_harmless(kind: str, tmp_path: Path) -> None:
    check(KINDS[kind][_IN_SLOW], tmp_path, twice=False)


def test_no_case_is_empty() -> None:
    assert len(OPTIONS) > 20
    assert sum(map(len, KINDS.values())) > 500
