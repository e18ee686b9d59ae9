"""The codes of the rooms."""

from __future__ import annotations

import importlib
import pkgutil
import re
from types import ModuleType

import pytest

from provecfg import proof
from provecfg.findings import Problem
from provecfg.findings.problems import RETIRED

ROOMS = [module.name for module in pkgutil.iter_modules(proof.__path__, f"{proof.__name__}.") if module.ispkg]


def problems(module: ModuleType) -> list[Problem]:
    return [value for value in vars(module).values() if isinstance(value, Problem)]


@pytest.mark.parametrize("room", [proof.__name__, *ROOMS])
def test_a_rooms_codes_are_in_its_range_each_once_in_order(room: str) -> None:
    module = importlib.import_module(f"{room}.problems")
    first, last = re.findall(r"PROOF\d{3}", module.__doc__ or "")
    codes = [problem.code for problem in problems(module)]
    assert codes == sorted(set(codes))
    assert all(first <= code <= last for code in codes)


def test_rooms_share_no_code_and_none_is_used_again() -> None:
    modules = [importlib.import_module(f"{room}.problems") for room in (proof.__name__, *ROOMS)]
    codes = [problem.code for module in modules for problem in problems(module)]
    assert len(set(codes)) == len(codes)
    assert not set(codes) & RETIRED.keys()
