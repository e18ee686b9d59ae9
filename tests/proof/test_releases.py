"""Which imported modules are of no known release."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from provecfg.proof.releases import forks, packages_of_no_release


@pytest.fixture
def fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of mmcv on the path, before what is installed."""
    folder = tmp_path / "mmcv"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "mmcv", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_checkout_on_the_path_is_a_fork(fork: Path) -> None:
    assert forks()["mmcv"] == fork


def test_what_was_imported_from_a_folder_of_the_users_is_of_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proof_release_layers.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    before = frozenset(sys.modules)
    importlib.import_module("proof_release_layers")
    importlib.import_module("json.tool")
    try:
        assert "proof_release_layers" in packages_of_no_release(before)
        assert "json" not in packages_of_no_release(before)
        assert "proof_release_layers" not in packages_of_no_release(frozenset(sys.modules))
    finally:
        del sys.modules["proof_release_layers"]
