from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.kills import Tally, import_what_commands_import, kill_for, with_kills


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_command_leaves_whole_files_and_nothing_running_and_can_be_given_again(tmp_path: Path) -> None:
    import_what_commands_import()
    tally = kill_for(tmp_path, seconds=0, seed=1)
    assert tally.kills.total() + tally.too_late >= 4
    assert tally.cells == 3


def test_kills_join_the_table_of_the_page() -> None:
    tally = Tally(old=3, new=4, parts=2, cells=6)
    tally.kills["report", "SIGHUP"] = 1234
    page = with_kills(
        "| tried | number |\n|---|---|\n| hostile files | 5 |\n\nFound: nothing. Executed: nothing.\n", tally
    )
    assert page.splitlines()[3:5] == ["| kills | 1,234 |", "| files that they left as they were | 3 |"]
    assert page.endswith(" brought to their end | 6 |\n\nFound: nothing. Executed: nothing.\n")
