"""Configs and data that the tests of this folder train on."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

if importlib.util.find_spec("mmseg") is None:
    collect_ignore_glob = ["*"]
else:
    with warnings.catch_warnings():
        # torch deprecates torch.jit.script, which torchvision's and mmdet's modules use when they are imported.
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401

PROJECT = Path(__file__).parents[2]
GENERATED = PROJECT / "generated"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Threads that wait for each other on busy cores take many times longer than one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn data goes to a folder of the test run, which the tests share."""
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path_factory.getbasetemp() / "provecfg-home"))


@pytest.fixture
def generated():
    """Load a generated config, as mmengine does."""
    from mmengine.config import Config

    def load(name: str) -> Config:
        return Config.fromfile(str(GENERATED / f"{name}.py"), import_custom_modules=False)

    return load
