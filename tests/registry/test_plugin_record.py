from __future__ import annotations

from provecfg.registry.module_search import read_user_modules
from provecfg.registry.plugin_record import PLUGIN, PLUGIN_FILE, plugin_modules
from provecfg.registry.release import load
from tools.plugin_snapshot import as_text


def test_the_record_of_the_plugin_is_what_its_source_says() -> None:
    assert PLUGIN_FILE.read_text() == as_text(), "run `python -m tools.plugin_snapshot`"


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
