"""The documentation's site: `make site` builds it. Each code gets a page of its own, made from its definition."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from provecfg import __version__
from provecfg.codes import problems
from provecfg.commands.rule import as_markdown

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "provecfg"
author = "the provecfg developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
exclude_patterns = ["generate/**"]
suppress_warnings = ["myst.header"]  # a page of the repository begins where its reader needs it to

html_theme = "furo"
html_title = f"provecfg {__version__}"
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"

PAGES = Path(__file__).parent / "codes"


def write_code_pages(app: Sphinx) -> None:
    """Write a page for each code; `rules.md` lists them all."""
    PAGES.mkdir(exist_ok=True)
    # Outside the table of contents, which every page holds: with two hundred codes it would be most of each.
    wanted = {
        f"{code}.md": f"---\norphan: true\n---\n\n# {code}\n\n{as_markdown(page)}\n"
        for code, page in problems().items()
    }
    for stale in set(PAGES.iterdir()) - {PAGES / name for name in wanted}:
        stale.unlink()
    for name, text in wanted.items():
        page = PAGES / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:  # an unchanged page is not built again
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_code_pages)
