"""`python fake_python.py -m provecfg WORDS...`: provecfg, but that its cells are trained by `fake_trainer`."""

from __future__ import annotations

import sys
from pathlib import Path

from provecfg.engines import cell_process

_TRAINER = Path(__file__).with_name("fake_trainer.py")


def main() -> None:
    """Run provecfg."""
    cell_process.run_command = lambda *words: [sys.executable, str(_TRAINER), *map(str, words[:2])]
    sys.argv = ["provecfg", *sys.argv[3:]]
    from provecfg.__main__ import main as provecfg_main

    provecfg_main()


if __name__ == "__main__":
    main()
