"""The header of a generated config."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provecfg.header import Coordinates, Header, differ_in_version_alone, is_untouched, sealed

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
PROSE = st.from_regex(r"[A-Za-z\[][A-Za-z0-9 ,.:+()\[\]-]{0,60}[A-Za-z0-9.)]", fullmatch=True)
HEX = st.text("0123456789abcdef", min_size=16, max_size=64)
HEADERS = st.builds(
    Header,
    title=PROSE,
    equation=PROSE.map("total = {}".format),
    note=st.just("") | PROSE,
    version=NAMES,
    study=NAMES,
    digest=HEX,
    cell=st.builds(Coordinates, NAMES, NAMES, NAMES, NAMES, st.integers(0, 2**63)),
    checksum=st.text("0123456789abcdef", min_size=64, max_size=64),
)
BODY = "\n\nmodel = dict(type='EncoderDecoder')\n# total = 9 CE[decode]\n"


@given(HEADERS, st.sampled_from(["", "\n", BODY]))
def test_a_header_reads_back_as_it_was_written(header: Header, body: str) -> None:
    assert Header.of(f"{header}{body}") == header


@pytest.fixture
def text(project: Path) -> str:
    return (project / "generated" / "pspnet_r50_bdd10k_focal.py").read_text()


def test_a_generated_config_says_which_cell_it_is(text: str) -> None:
    header = Header.of(text)
    assert header is not None
    assert header.study == "loss-study"
    assert header.cell == Coordinates("pspnet_r50", "bdd10k", "baseline", "focal", 42)
    assert header.equation.startswith("total = 1 CE[decode] + 0.3 focal[decode]")


@pytest.mark.parametrize(
    "other",
    ["", "model = dict()\n", "# total = 1 CE[decode]\nmodel = dict()\n", "model = dict()\n{text}", "'''\n{text}'''"],
)
def test_a_config_of_somebody_else_has_no_header(text: str, other: str) -> None:
    assert Header.of(other.replace("{text}", text)) is None


@pytest.mark.parametrize("field", ["title", "equation", "cell", "checksum"])
def test_what_was_taken_out_is_missing_and_the_rest_is_read(text: str, field: str) -> None:
    header = Header.of(text)
    assert header is not None
    without = replace(header, **{field: None if field == "cell" else ""})
    assert Header.of(str(without) + BODY) == without


def test_comments_and_blank_lines_before_it_leave_it_readable(text: str) -> None:
    header = Header.of("# mine\n\n\n" + text)
    assert header is not None
    assert replace(header, title="") == replace(Header.of(text) or header, title="")


def test_a_letter_or_a_comment_more_is_an_edit(text: str) -> None:
    assert is_untouched(text)
    assert not is_untouched(text.replace("max_iters=80000", "max_iters=80001"))
    assert not is_untouched(text + "# mine\n")
    assert not is_untouched("model = dict()\n")


def test_sealing_again_makes_an_edited_text_an_untouched_one(text: str) -> None:
    assert sealed(text) == text
    assert is_untouched(sealed(text + "# mine\n"))


def test_two_versions_that_write_the_same_config_are_told_from_two_configs(text: str) -> None:
    newer = sealed(text.replace("Written by provecfg ", "Written by provecfg 9."))
    assert differ_in_version_alone(text, newer)
    assert not differ_in_version_alone(text, text)
    assert not differ_in_version_alone(text, sealed(newer.replace("max_iters=80000", "max_iters=80001")))
