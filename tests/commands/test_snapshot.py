"""The whole of what it reads is tested where it is compared with the packages, in `tests/registry/test_snapshot.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provecfg.registry.release import load_installed

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose packages hide others of their names; the cache folder is the test's own."""
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "home"))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr("sys.path", [str(site), *sys.path])
    load_installed.cache_clear()
    yield site
    load_installed.cache_clear()


@pytest.mark.parametrize(("version", "is_said"), [("1.4.1", True), ("1.4.2", False)])
def test_validate_says_where_another_release_is_installed_than_it_judges_by(
    provecfg: Command, first_on_the_path: Path, tmp_path: Path, version: str, is_said: bool
) -> None:
    (first_on_the_path / f"onedl_mmsegmentation-{version}.dist-info").mkdir()
    (tmp_path / "config.py").write_text("work_dir = 'work_dirs/a'\n")
    _, stdout, stderr = provecfg("validate", tmp_path / "config.py")
    assert (f"onedl-mmsegmentation {version} (judged by 1.4.2)" in stderr) == is_said
    assert ("provecfg snapshot" in stderr) == is_said
    assert "installed" not in stdout


@pytest.mark.stack
@pytest.mark.slow
def test_packages_that_cannot_be_imported_are_said_in_their_words_and_nothing_is_written(
    provecfg: Command, first_on_the_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first_on_the_path / "mmcv").mkdir()
    (first_on_the_path / "mmcv" / "__init__.py").write_text("raise ImportError('built for another torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(first_on_the_path), prepend=":")
    code, stdout, stderr = provecfg("snapshot", "-o", tmp_path / "made.json")
    assert (code, stdout) == (2, "")
    assert "what is installed cannot be read: ImportError: built for another torch" in stderr
    assert not (tmp_path / "made.json").exists()
