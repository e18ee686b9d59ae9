"""What the classes refused when they were tried, against the classes that are installed, and in configs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provecfg.facts.facts import Facts
from provecfg.mmconfig import read_config
from provecfg.registry import registry_for
from provecfg.registry.domains import (
    NOTHING,
    Breach,
    Domains,
    Evidence,
    domains_file,
    domains_text,
    read_domains,
)
from provecfg.registry.release import RELEASES, installed_release, installed_versions, load

EVIDENCE = Evidence("TypeError", "no", "None")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lifted = EVIDENCE._replace(unless=(("f", True), ("g", False)))
    classes = {"a.B": {"c[]": {"None": EVIDENCE}, "d.e": {"zero": lifted}}, "a.C": {}}
    domains = Domains({"torch": "2.4"}, classes, {"a.D": "ImportError: no gdal"})
    snapshot = tmp_path / "made.json"
    domains_file(snapshot).write_text(domains_text(domains), encoding="utf-8")
    assert read_domains(snapshot) == domains
    assert read_domains(tmp_path / "never_made.json") == NOTHING


@pytest.mark.parametrize(
    ("values", "breach"),
    [
        ({"c": [1, None]}, Breach("c[1]", "None", EVIDENCE)),
        ({"c": None}, None),
        ({"d": {"e": 0}}, Breach("d.e", "zero", EVIDENCE)),
        ({"d": {"e": False}}, None),
        ({"d": {"type": "E", "e": 0}}, None),
        ({"d": 0, "c": 5}, None),
    ],
)
def test_a_value_of_a_refused_kind_is_told_where_it_stands(values: dict[str, object], breach: Breach | None) -> None:
    domains = Domains({}, {"a.B": {"c[]": {"None": EVIDENCE}, "d.e": {"zero": EVIDENCE}}})
    assert domains.breaches("a.B", values) == (() if breach is None else (breach,))
    assert domains.breaches("a.C", values) == ()


@pytest.mark.parametrize(("flags", "is_told"), [({}, True), ({"f": False}, True), ({"f": True}, False)])
def test_what_a_flag_lifts_is_not_told_where_it_is_set(flags: dict[str, bool], is_told: bool) -> None:
    lifted = EVIDENCE._replace(unless=(("f", True),))
    domains = Domains({}, {"a.B": {"c": {"None": lifted}}})
    assert domains.breaches("a.B", {"c": None, **flags}) == ((Breach("c", "None", lifted),) if is_told else ())


@pytest.mark.parametrize("release", RELEASES)
def test_the_table_is_of_the_snapshot_that_it_lies_beside(release: str) -> None:
    snapshot = load(release)
    assert read_domains(snapshot.file).packages == snapshot.packages
    assert len(snapshot.domains.classes) > 200


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_of_a_generated_config_is_refused(project: Path, release: str) -> None:
    for path in sorted((project / "generated").glob("*_focal.py")):
        view = read_config(path)
        assert Facts(view, registry_for(view, release=release)).refused_in_trials == (), path


@pytest.mark.stack
@pytest.mark.long
def test_experiments_drawn_by_a_seed_end_as_the_table_says(project: Path) -> None:
    registry = registry_for(release=installed_release())
    installed = installed_versions(registry.snapshot.release)
    if installed != registry.snapshot.domains.packages:
        pytest.skip(f"the table is of {registry.snapshot.domains.packages}, installed are {installed}")
    # in a process of its own, which trials are forked from: it draws no weights, for one
    command = [sys.executable, "-W", "ignore", "-m", "docs.generate.experiments.tried_domains", "--again", "200"]
    again = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
