"""Hostile files of every kind: a word, an exit code, a second and 200 MB at most, and nothing executed."""

from __future__ import annotations

import importlib
import os
from itertools import groupby
from pathlib import Path

import pytest

from tests.attack.bounds import measured, run_command
from tests.attack.hostile_files import OPTIONS, Case, cases
from tests.attack.outcomes import difference, fault_of

KINDS = {kind: list(of_kind) for kind, of_kind in groupby(cases(), key=lambda case: case.name.partition(",")[0])}
_IN_QUICK = 5
"""Every so many cases of a kind are run in the quick tier, and all of them in the slow one."""


def warm_up(folder: Path) -> None:
    """Import and cache what the commands need, so that a case's cost is its own."""
    for command in ("compare", "generate", "list", "rule", "show", "validate"):
        importlib.import_module(f"provecfg.commands.{command}")
    (folder / "s.yaml").write_text("name: x\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\n")
    (folder / "c.py").write_text("model = dict(type='EncoderDecoder')\n")
    here = os.getcwd()
    os.chdir(folder)
    try:
        for words in (
            "validate s.yaml",
            "compare c.py c.py",
            "show c.py --output-format yaml",
            "generate s.yaml --check",
        ):
            run_command(*words.split())
    finally:
        os.chdir(here)


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    warm_up(tmp_path_factory.mktemp("warm"))


def fault_of_case(case: Case, folder: Path) -> str | None:
    folder.mkdir()
    case.lay_out(folder)
    outcome, second = (measured(lambda: run_command(*case.command), folder) for _ in range(2))
    said = outcome.fault or second.fault
    if said is None:
        written = case.command[0] == "generate" and "--check" not in case.command  # then the second time finds it
        said = fault_of(outcome.result) or (None if written else difference(outcome.result, second.result))
    if said is None and (folder / "pwned").exists():
        said = "it was executed"
    return None if said is None else f"{case.name}, {case.command[0]}: {said}"


def check(chosen: list[Case], folder: Path) -> None:
    faults = [said for index, case in enumerate(chosen) if (said := fault_of_case(case, folder / str(index)))]
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize("kind", KINDS)
def test_some_hostile_files_are_harmless(kind: str, tmp_path: Path) -> None:
    check(KINDS[kind][::_IN_QUICK], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files_are_harmless(kind: str, tmp_path: Path) -> None:
    check([case for index, case in enumerate(KINDS[kind]) if index % _IN_QUICK], tmp_path)


def test_no_case_is_empty() -> None:
    assert len(OPTIONS) > 20
    assert sum(map(len, KINDS.values())) > 500
