"""What a finding looks like in a terminal, as a picture for the pages: `python -m docs.generate.terminal_picture`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.generate.terminal_screen import write_screen

PICTURE = Path(__file__).parents[1] / "screens" / "terminal.svg"
PROJECT = Path(__file__).parents[2]
STUDY = """\
name: short
models: [pspnet_r50]
losses: {auxiliary: [focal]}
schedule: {max_iters: 2000, val_interval: 500}
early_stopping:
  patience: 9
"""
COMMANDS = ("provecfg generate study.yaml", "provecfg rule STOP008")
COLUMNS = 100


def shown() -> str:
    """The commands and what they print, with its colours."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"}
    environment.pop("NO_COLOR", None)
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "study.yaml").write_text(STUDY, encoding="utf-8")
        for command in ("cat study.yaml", *COMMANDS):
            words = command.replace("provecfg", f"{sys.executable} -m provecfg", 1).split()
            done = subprocess.run(
                words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            parts.append(f"\x1b[1m$ {command}\x1b[0m\n{done.stdout.strip()}")
    return "\n\n".join(parts)


def main() -> None:
    write_screen(shown(), PICTURE, title="provecfg", columns=COLUMNS)


if __name__ == "__main__":
    main()
