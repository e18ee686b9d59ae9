"""Writing the small configs of these tests."""

from __future__ import annotations

import gc
import re
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_FILE = re.compile(r"(?m)^([\w./-]+\.(?:py|yaml|yml|json|toml)):\n")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a config, and after each line `name.py:` a further file beside it; gives the config's path."""

    def write_files(text: str, name: str = "config.py") -> Path:
        first, *rest = _FILE.split(textwrap.dedent(text).lstrip("\n"))
        for file, content in [(name, first), *zip(rest[::2], rest[1::2], strict=True)]:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return tmp_path / name

    return write_files


@pytest.fixture(scope="session")
def load_with_mmengine() -> Callable[[Path], dict[str, Any] | None]:
    """What mmengine's Config.fromfile gives, or None where it raises."""
    from mmengine.config import Config

    def load(path: Path) -> dict[str, Any] | None:
        with warnings.catch_warnings():
            # mmengine warns of `_deprecation_`, and leaves its temporary file open where a config fails.
            warnings.simplefilter("ignore")
            try:
                values: dict[str, Any] = Config.fromfile(path, import_custom_modules=False).to_dict()
                return values
            except Exception:
                failed = True
            if failed:
                gc.collect()
        return None

    return load
