from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.kills import import_what_commands_import, kill_for


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_command_leaves_whole_files_and_nothing_running_and_can_be_given_again(tmp_path: Path) -> None:
    import_what_commands_import()
    tally = kill_for(tmp_path, seconds=0, seed=1)
    assert tally.kills.total() + tally.too_late == 3
