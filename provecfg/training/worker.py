"""One process of several: `python -m provecfg.training.worker CONFIG OPTIONS`, started by torchrun."""

from __future__ import annotations

import sys
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.spelling import printable_lines
from provecfg.training.options import RunOptions


def main(path: str, options: str) -> int:
    """Train as one of the processes; the one that started them has checked everything.

    Returns:
        The exit code.
    """
    from provecfg.training.preflight import prepare

    try:
        prepared = prepare(Path(path), RunOptions.from_json(options))
        from provecfg.training.runner import train

        outcome = train(prepared)
    except ProvecfgError as error:
        print(printable_lines(f"error: {error}"), file=sys.stderr)
        return error.exit_code
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
