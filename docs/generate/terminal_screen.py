"""Text of a terminal, colours and all, as a picture."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.text import Text


def write_screen(text: str, picture: Path, *, title: str, columns: int) -> None:
    """Draw what a terminal shows.

    Args:
        text: With the terminal's escapes for colours.
        picture: The SVG file; its name makes the drawing's own names, so that several stand on one page.
        title: Of the window.
        columns: Its width, in letters.
    """
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    picture.write_text(console.export_svg(title=title, unique_id=picture.stem), encoding="utf-8")
