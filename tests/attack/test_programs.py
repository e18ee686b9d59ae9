"""Programs made by chance: what the reader claims of one is what Python makes of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.attack.bounds import measured
from tests.attack.programs import Programs, disagreement, without_faults


def disagreements(seeds: Iterable[int], folder: Path) -> dict[int, str]:
    """What the reader and Python disagree about: of each program, and of what is left of it that runs."""
    by_seed = {}
    for seed in seeds:
        text = Programs(seed).program()
        for program in (text, without_faults(text)):
            difference = None if program is None else disagreement(program, folder / "config.py")
            if difference is not None:
                by_seed[seed] = f"{difference}\n{program}"
    return by_seed


def check(seeds: range, folder: Path) -> None:
    def work() -> dict[int, str]:
        warnings.simplefilter("ignore")  # of coroutines that are never awaited, and of `is` with a literal
        return disagreements(seeds, folder)

    outcome = measured(work, folder)
    assert not outcome.raised
    assert not outcome.result, "\n\n".join(f"seed {seed}: {difference}" for seed, difference in outcome.result.items())


def test_the_reader_claims_of_a_program_what_python_makes_of_it(tmp_path: Path) -> None:
    check(range(200), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(200, 800, 300))
def test_the_reader_claims_of_many_programs_what_python_makes_of_them(first: int, tmp_path: Path) -> None:
    check(range(first, first + 300), tmp_path)


def test_most_programs_have_something_that_runs(tmp_path: Path) -> None:
    def share() -> float:
        warnings.simplefilter("ignore")
        return sum(without_faults(Programs(seed).program()) is not None for seed in range(60)) / 60

    assert measured(share, tmp_path).result > 0.7


def test_a_wrong_claim_would_be_seen(tmp_path: Path) -> None:
    # A program that draws a line under the oracle: what it must not let pass.
    path = tmp_path / "config.py"
    assert disagreement("a = 1\n", path) is None
    for wrong in (
        "import sys\nsys._getframe(0).f_globals['b'] = 2\n",
        "import sys\nsys._getframe(0).f_globals['a'] = 2\n",
    ):
        assert disagreement(f"a = 1\nb = [1]\n{wrong}", path) is not None
