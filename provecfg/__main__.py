"""`provecfg` and `python -m provecfg`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:2] in (["run"], ["cell"]):
        # Before all that takes time to import: a signal that comes meanwhile is for the run to receive.
        from provecfg.interruption import hold

        hold()
    elif sys.argv[1:] in (["--help"], ["-h"]):
        from provecfg.help_page import show

        if show():
            return
    elif sys.argv[1:2] == ["validate"]:
        # It makes many small objects and little garbage, from its first import on: fewer collections save a tenth. What
        # is kept of one config for the next is no garbage either. What trains keeps Python's own thresholds: tensors in
        # a cycle would be held for longer.
        gc.set_threshold(1_000_000, 50, 100)
    from provecfg import cli

    cli.main()


if __name__ == "__main__":
    main()
