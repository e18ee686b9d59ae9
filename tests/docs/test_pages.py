from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate.pages import PAGES
from provecfg.codes import FAMILIES, problems
from provecfg.findings import family_of


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_pages_are_what_the_definitions_say(name: str, project: Path) -> None:
    assert (project / name).read_text() == PAGES[name](), "run `make docs` and read the diff"


def test_every_code_belongs_to_a_family_and_stands_once() -> None:
    assert len(problems()) >= 90
    assert {family_of(code) for code in problems()} == set(FAMILIES)


def test_every_code_says_what_is_wrong_and_why_it_matters() -> None:
    for code, page in problems().items():
        assert page.summary.endswith("."), code
        assert page.why, code
        assert page.source or code.startswith("CFG0"), code


def test_every_code_that_a_config_can_show_has_a_bad_and_a_good_example() -> None:
    for code, page in problems().items():
        found_on_the_machine = page.source in ("provecfg run", "provecfg prove", "provecfg compare", "provecfg")
        assert found_on_the_machine or (page.bad and page.good), code
        assert page.bad != page.good or found_on_the_machine, code
