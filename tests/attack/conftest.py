"""Processes forked from the tests' own need not import the commands anew."""

from __future__ import annotations

import pytest

from tests.attack.bounds import warm_up


@pytest.fixture(scope="session", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    warm_up(tmp_path_factory.mktemp("warm"))
