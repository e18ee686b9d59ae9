"""The layout of configs, against the packages that read them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from provecfg.registry import registry_for
from provecfg.registry.layout import (
    CHECKPOINT_HOOKS,
    DEFAULT_HOOKS,
    EARLY_STOPPING_HOOKS,
    OLD_KEYS,
    PHASES,
    SCOPES,
    TELLING_KEYS,
    TOP_LEVEL,
)

needs_stack = [
    pytest.mark.stack,
    pytest.mark.slow,  # imports mmengine or mmseg
    pytest.mark.filterwarnings("ignore"),  # of theirs, while they are imported
]


def stacked(test: Any) -> Any:
    for mark in needs_stack:
        test = mark(test)
    return test


def test_a_key_is_read_or_old_and_not_both() -> None:
    assert not TOP_LEVEL.keys() & OLD_KEYS.keys()
    assert set(TELLING_KEYS) - {"_base_"} <= TOP_LEVEL.keys()
    assert {key for keys in PHASES.values() for key in keys} <= TOP_LEVEL.keys()


def test_what_builds_a_key_is_a_registry() -> None:
    assert {registry for registry in TOP_LEVEL.values() if registry} <= set(registry_for().registries)


@pytest.mark.parametrize("family", [CHECKPOINT_HOOKS, EARLY_STOPPING_HOOKS])
def test_a_family_is_mmengines_hook_and_all_that_the_plugin_makes_of_it(family: tuple[str, ...]) -> None:
    registry = registry_for(["provecfg.plugin"])
    heirs = [name for name in registry.names("hook") if (info := registry.find(name, "hook")) and info.is_a(family[0])]
    assert sorted(heirs) == sorted(family)


@stacked
def test_the_runner_reads_every_top_level_key() -> None:
    from mmengine.runner import Runner

    source = inspect.getsource(Runner)
    taken = set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}
    assert taken <= TOP_LEVEL.keys()
    for key in ("sync_bn", "find_unused_parameters", "model_wrapper_cfg", "compile"):
        assert f"'{key}'" in source


@stacked
def test_the_runner_refuses_a_phase_in_part() -> None:
    from mmengine.runner import Runner

    for keys in PHASES.values():
        for key in keys:
            with pytest.raises(ValueError, match=f"{key}.*should be|should be.*{key}"):
                Runner(model={}, work_dir=".", **{key: {}})


@stacked
def test_the_default_hooks_are_those_that_the_runner_registers() -> None:
    from mmengine.runner import Runner

    class Registered:
        def __init__(self) -> None:
            self.hooks: list[dict[str, Any]] = []

        def register_hook(self, hook: dict[str, Any]) -> None:
            self.hooks.append(hook)

    untouched, emptied = Registered(), Registered()
    Runner.register_default_hooks(untouched)
    Runner.register_default_hooks(emptied, dict.fromkeys(DEFAULT_HOOKS))
    assert untouched.hooks == list(DEFAULT_HOOKS.values())
    assert emptied.hooks == []


@stacked
@pytest.mark.parametrize("library", ["mmengine", "mmseg", "mmdet"])
def test_a_library_has_its_scope(library: str) -> None:
    import importlib

    assert importlib.import_module(f"{library}.registry").MODELS.scope in SCOPES
