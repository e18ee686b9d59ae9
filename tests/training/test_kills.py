from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.kills import live_through_kills


@pytest.mark.stack
@pytest.mark.slow
def test_nothing_is_lost_and_nothing_differs_whatever_is_killed_when(tmp_path: Path) -> None:
    tally = live_through_kills(tmp_path, kills=3, seed=3, max_iters=60, patience=3)
    assert tally.kills.total() >= 3
    assert tally.cells >= 1
