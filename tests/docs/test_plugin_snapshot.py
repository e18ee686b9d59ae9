from __future__ import annotations

from docs.generate.plugin_snapshot import texts
from provecfg.registry.module_search import read_user_modules
from provecfg.registry.plugin_record import PLUGIN, plugin_modules
from provecfg.registry.release import load


def test_the_records_of_the_plugin_are_what_its_source_says() -> None:
    for file, text in texts().items():
        assert file.read_text() == text, "run `python -m docs.generate.plugin_snapshot`"


def test_the_record_gives_the_classes_that_reading_the_source_gives() -> None:
    fresh, kept = read_user_modules((PLUGIN,), (), load("onedl").top_packages), plugin_modules()
    names = [dotted for scopes in kept.registered.values() for scope in scopes.values() for dotted in scope.values()]
    assert len(names) >= 14
    for dotted in names:
        here, there = kept.record(dotted), fresh.record(dotted)
        assert here is not None
        assert there is not None
        for field in ("module", "name", "bases", "parameters", "flow", "forward", "has_loss_name"):
            assert getattr(here, field) == getattr(there, field), (dotted, field)
