"""What files of many parts cost grows with the parts, not with their square: counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from provecfg.errors import ProvecfgError
from provecfg.findings import suppressions
from provecfg.findings.settings import settings_for
from provecfg.invariants import distinct
from provecfg.mmconfig import read_config
from provecfg.mmconfig.budget import Budget
from provecfg.mmconfig.data_files import DataError, read_plain_yaml
from provecfg.registry.release import load_installed
from provecfg.study.load import read_study
from tests.attack.bounds import run_command


def lines_run(work: Callable[[], Any]) -> int:
    """How many lines of Python `work` executes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def check_linear(work: Callable[[int], Any], parts: int) -> None:
    """Check that the second doubling of `parts` adds twice what the first did, and not four times as much."""
    work(parts)  # what is imported and cached once is not counted
    single, double, quadruple = (lines_run(lambda size=size: work(size)) for size in (parts, 2 * parts, 4 * parts))  # type: ignore[misc]
    assert quadruple - double < 2.2 * (double - single)


def study_of(seeds: int) -> str:
    return (
        f"name: x\nmodels: [pspnet_r50]\nlosses: {{auxiliary: [none]}}\nseeds: [{', '.join(map(str, range(seeds)))}]\n"
    )


def test_a_study_is_read_in_time_that_grows_with_its_seeds() -> None:
    check_linear(lambda seeds: read_study(Path("s.yaml"), text=study_of(seeds)), 200)


def test_problems_of_a_study_are_placed_in_time_that_grows_with_them() -> None:
    def work(keys: int) -> None:
        text = study_of(2) + "".join(f"unknown{key}: 1\n" for key in range(keys))
        _, findings = read_study(Path("s.yaml"), text=text)
        assert findings

    check_linear(work, 200)


def test_configs_are_generated_in_time_that_grows_with_the_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def work(seeds: int) -> None:
        Path("s.yaml").write_text(study_of(seeds))
        assert run_command("generate", "s.yaml", "--check").code == 1

    check_linear(work, 5)


def test_a_name_that_is_nobodys_is_not_looked_for_in_every_module() -> None:
    snapshot = load_installed()
    assert snapshot.record("mmseg.models.Nobodys") is None
    assert lines_run(lambda: snapshot.record("mmseg.models.NobodysEither")) < len(snapshot.raw) // 10


def test_comments_are_looked_up_in_time_that_grows_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[int] = []
    lines = suppressions._lines
    monkeypatch.setattr(suppressions, "_lines", lambda text: split.append(len(text)) or lines(text))

    def work(comments: int) -> None:
        text = "x = 1  # provecfg: ignore[LOSS001,LOSS002] reason\n" * comments
        path = Path(f"{comments}.py")
        split.clear()
        findings = suppressions.unused_suppressions(
            {path: text}, frozenset(), asked=[path], is_judged=lambda code, file: True
        )
        assert len(list(findings)) == comments
        assert sum(split) <= 3 * len(text)

    check_linear(work, 100)


@pytest.mark.parametrize("digits", [":59" * 100, ":59" * 400])
def test_numbers_of_base_60_are_refused_before_they_are_worked_out(digits: str) -> None:
    def work(times: int) -> None:
        with pytest.raises(DataError, match="a number is too large"):
            read_plain_yaml(f"1{digits * times}", Path("s.yaml"))

    work(4)
    assert lines_run(lambda: work(4)) == pytest.approx(lines_run(lambda: work(40)), rel=0.01)


_LOOPS = {
    "function": "while 1:\n def f():\n  x = [{}]\n",
    "function in a function": "while 1:\n def f():\n  def g():\n   x = [{}]\n",
    "generator": "while 1:\n x = any(i for i in [] if [{}])\n",
    "map": "f = lambda: [{}]\nwhile 1: x = list(map(f, []))\n",
    "filter": "f = lambda: [{}]\nwhile 1: x = list(filter(f, []))\n",
    "not run": "f = lambda: [{}]\nwhile 1:\n try: f\n except E: pass\n",
    "parameters": "def f(*, {}): pass\nwhile 1: f()\n",
}


@pytest.mark.parametrize("loop", _LOOPS)
def test_a_loop_costs_no_more_where_what_it_goes_round_is_larger(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provecfg.mmconfig.read.Budget", lambda: Budget(4_000))

    def work(parts: int) -> None:
        each = (f"a{index}=1" for index in range(parts)) if loop == "parameters" else ["len(a) + b"] * parts
        view = read_config("/nowhere/config.py", text=_LOOPS[loop].format(", ".join(each)))
        assert [problem.code for problem in view.problems if problem.code != "CFG013"] == ["CFG008"]

    work(1)
    assert lines_run(lambda: work(200)) < 1.5 * lines_run(lambda: work(2))


def test_names_that_stand_twice_are_found_in_comparisons_that_grow_with_the_names() -> None:
    compared = 0

    class Name(str):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, str(other))

        __hash__ = str.__hash__

    names = [Name(index) for index in range(1000)]
    assert distinct([*names, Name("7")]) == "'7' stands more than once"
    assert compared < 10 * len(names)


def test_settings_with_a_long_key_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    def work(steps: int) -> None:
        file = tmp_path / str(steps) / "pyproject.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"[tool.provecfg]\n{'.'.join(['a'] * steps)} = 1\n")
        with pytest.raises(ProvecfgError, match="nested too deeply"):
            settings_for(file.parent)

    work(1_000)
    assert lines_run(lambda: work(1_000)) == pytest.approx(lines_run(lambda: work(4_000)), rel=0.05)
