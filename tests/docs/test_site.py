from __future__ import annotations

from pathlib import Path


def test_every_page_is_in_the_sites_contents(project: Path) -> None:
    listed = set((project / "docs/index.md").read_text().split("\n"))
    assert {page.stem for page in (project / "docs").glob("*.md")} - {"index"} <= listed
