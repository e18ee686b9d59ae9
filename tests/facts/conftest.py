from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.facts.facts import Facts
from provecfg.mmconfig import read_config


@pytest.fixture
def facts_of(tmp_path: Path) -> Callable[[str], Facts]:
    """The facts of a config of this text."""

    def facts(text: str) -> Facts:
        (tmp_path / "config.py").write_text(text, encoding="utf-8")
        return Facts(read_config(tmp_path / "config.py"))

    return facts
