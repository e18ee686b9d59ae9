from __future__ import annotations

import re

import pytest

from provecfg.training.problems import PROBLEMS

pytestmark = pytest.mark.stack


def test_codes_are_unique_and_in_order() -> None:
    codes = [problem.code for problem in PROBLEMS]
    assert len(codes) >= 20
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"RUN1\d\d", code) for code in codes)
    assert len({problem.name for problem in PROBLEMS}) == len(PROBLEMS)


def test_every_code_says_what_and_why() -> None:
    for problem in PROBLEMS:
        assert problem.summary.endswith(".")
        assert problem.why.endswith(".")
        assert re.fullmatch(r"[a-z0-9-]+", problem.name)
