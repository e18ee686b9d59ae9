"""The snapshot against the packages that are installed."""

from __future__ import annotations

import contextlib
import gzip
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from provecfg.registry import UNKNOWN_DEFAULT, ClassInfo, Kind, Registry, registry_for
from provecfg.registry.release import excerpts_file, shipped_file

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,  # imports every module of the four packages
    # of the packages' own imports and constructors, in whatever order they come
    pytest.mark.filterwarnings("ignore"),
]

pytest.importorskip("mmseg", reason="mmseg is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A snapshot of what is installed, made as its users make it: in a process whose torch nobody has patched."""
    file = tmp_path_factory.mktemp("snapshot") / "made.json"
    subprocess.run([sys.executable, "-m", "provecfg", "snapshot", "-o", file], check=True, capture_output=True)
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return made | {"excerpts": gzip.decompress(excerpts_file(file).read_bytes())}


@pytest.fixture(scope="module")
def registry(made: dict[str, Any]) -> Registry:
    """What the snapshot says; everything that it speaks of is imported here, too."""
    from provecfg.registry.snapshot import import_all

    import_all()
    return registry_for(release=made["release"])


def test_the_committed_snapshot_is_fresh(made: dict[str, Any]) -> None:
    from provecfg.registry.snapshot import as_text

    file = shipped_file(made["release"])
    text = file.read_text(encoding="utf-8")
    if json.loads(text)["packages"] != made["packages"]:
        pytest.skip(f"{file.name} is made from {json.loads(text)['packages']}, installed are {made['packages']}")
    assert as_text(made) == text, f"run python -m provecfg.registry.snapshot, see what changed in {file.name}"
    assert gzip.decompress(excerpts_file(file).read_bytes()) == made["excerpts"]


def registered(registry: Registry) -> Iterator[tuple[ClassInfo, Any]]:
    from mmengine.registry import Registry as Built
    from mmengine.registry import root

    for tree in vars(root).values():
        if not isinstance(tree, Built):
            continue
        for scope, node in {"mmengine": tree, **tree.children}.items():
            for name, cls in node.module_dict.items():
                info = registry.find(f"{scope}.{name}", tree.name)
                if info is not None and info.scope == scope and not cls.__module__.startswith("provecfg"):
                    yield info, cls


def test_every_signature_is_the_one_that_inspect_sees(registry: Registry) -> None:
    kinds = {
        inspect.Parameter.POSITIONAL_ONLY: Kind.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD: Kind.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY: Kind.KEYWORD_ONLY,
        inspect.Parameter.VAR_POSITIONAL: Kind.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD: Kind.VAR_KEYWORD,
    }
    compared = 0
    for info, cls in registered(registry):
        declared = next((r.parameters for r in info.ancestors if r is not None and r.parameters is not None), None)
        try:
            real = inspect.signature(cls).parameters.values()
        except ValueError:  # C code
            continue
        if declared is None:
            assert not real, info.dotted
            continue
        assert [(p.name, p.kind) for p in declared] == [(p.name, kinds[p.kind]) for p in real], info.dotted
        for ours, theirs in zip(declared, real, strict=True):
            assert ours.is_required == (theirs.default is theirs.empty and "VAR" not in theirs.kind.name)
            if not ours.is_required and ours.default is not UNKNOWN_DEFAULT and ours.by_keyword:
                assert ours.default == theirs.default, (info.dotted, ours.name)
        compared += 1
    assert compared > 800


def test_what_becomes_of_an_unknown_argument_is_what_happens(registry: Registry) -> None:
    """Every class of these modules that can be made without arguments is made with one that does not exist."""
    made = 0
    for info, cls in registered(registry):
        modules = ("mmseg.models.losses", "mmseg.evaluation", "mmengine.hooks", "mmcv.transforms", "mmseg.datasets.tr")
        if info.required or info.open or not cls.__module__.startswith(modules):
            continue
        if info.type_name in ("CheckpointHook", "LovaszLoss", "EMAHook"):
            continue  # checked later than when it is made, or its own defaults do not fit together
        with contextlib.ExitStack() as stack:
            if not info.swallows:
                stack.enter_context(pytest.raises(TypeError, match=r"no_such_argument|takes no arguments"))
            cls(no_such_argument=1)
        made += 1
    assert made > 40
