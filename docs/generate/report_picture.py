"""The head of the small study's page, as a picture for the pages: `python -m docs.generate.report_picture`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[1]
PAGE, PICTURE = DOCS / "small-study" / "report.html", DOCS / "screens" / "report.png"
WIDTH, HEIGHT = 1000, 640
COLOURS = 64  # enough for a page of text and a few lines


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder, "page.png")
        browser = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        picture = [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={taken}", PAGE.as_uri()]
        subprocess.run([*browser, *picture], capture_output=True, check=True)
        with Image.open(taken) as page:
            page.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
