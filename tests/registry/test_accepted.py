"""The parts of mmseg's own and of the generated configs that are known to be accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.facts import refusals
from provecfg.facts.facts import Facts
from provecfg.mmconfig import read_config
from provecfg.registry import registry_for
from provecfg.registry.accepted import Accepted, accepted, accepted_file, accepted_text, argument_name, digest


def test_what_is_written_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setattr("provecfg.registry.accepted.DATA_DIR", folder)
    text = accepted_text("mmsegmentation 1.2.2", [digest("SGD whole {'lr': 0.1}")], [argument_name("a.B", "c")])
    accepted_file("made_here").write_text(text, encoding="utf-8")
    known = accepted("made_here")
    assert digest("SGD whole {'lr': 0.1}") in known.parts
    assert digest("SGD whole {'lr': 0.2}") not in known.parts
    assert known.misdescribed == {"a.B(c)"}
    assert accepted("never_made").parts == frozenset()


@pytest.mark.stack
@pytest.mark.slow
def test_what_is_known_to_be_accepted_is_what_following_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from docs.generate.zoo import installed_configs, leaf_configs

    known = accepted("onedl").parts
    monkeypatch.setattr(refusals, "accepted", lambda release: Accepted())
    followed = 0
    for path in leaf_configs(installed_configs()[1])[::45]:
        view = read_config(path)
        facts = Facts(view, registry_for(view, release="onedl"))
        _ = facts.refusals
        for part, refusal in facts.class_cache.refusals.items():
            if part in known:
                assert refusal is None, path
                followed += 1
    assert followed > 100


def test_no_class_is_followed_for_the_generated_configs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = accepted("onedl").parts
    monkeypatch.setattr("provecfg.facts.class_cache._caches", {})  # what other tests have followed
    for path in sorted((project / "generated").glob("*_focal.py")):
        view = read_config(path)
        facts = Facts(view, registry_for(view, release="onedl"))
        assert facts.refusals == ()
        assert facts.class_cache.refusals.keys() <= known, "run python -m docs.generate.accepted_parts"
