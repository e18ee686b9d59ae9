from __future__ import annotations

from tests.installation.matrix import CORE, Row, page_with, table

HEAD = "\n".join(table([]))
BEFORE, AFTER = "| 3.11.7 | `train` | 2.14.1 |  | 9 of 10 | eval: x |", "| 3.12.1 | none |  |  | 4 of 4 |  |"
PAGE = f"a\n<!-- matrix -->\n{HEAD}\n{BEFORE}\n{AFTER}\n<!-- /matrix -->\nb\n"


def test_what_was_run_takes_the_place_of_what_the_page_says_of_it_and_no_other() -> None:
    rows = [
        Row("3.11", "train", versions={"python": "3.11.9"}, failed={"pip install": "no disk"}),
        Row("3.11", "", versions={"python": "3.11.9"}, passed=list(CORE)),
    ]
    core, train = "| 3.11.9 | none |  |  | 4 of 4 |  |", "| 3.11.9 | `train` |  |  |  | pip install: no disk |"
    assert page_with(PAGE, rows) == PAGE.replace(BEFORE, f"{core}\n{train}")
