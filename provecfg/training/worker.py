"""One process of several: `python -m provecfg.training.worker CONFIG OPTIONS`, started by torchrun."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopRequested, StopSignals, end_with_parent
from provecfg.training import record as records
from provecfg.training.attempt import LEASE_VARIABLE
from provecfg.training.launch_folder import PARENT_VARIABLE, VARIABLE, LaunchFolder
from provecfg.training.options import RunOptions
from provecfg.training.record import Ending


def main(path: str, options: str) -> int:
    """Train as one of the processes; the one that started them has checked everything.

    Returns:
        The exit code: 0 unless it has failed, also where it was interrupted, since torchrun ends the other processes
        when one of them does not end well.
    """
    rank = int(os.environ["RANK"])
    folder = LaunchFolder(Path(os.environ[VARIABLE]))
    signals = StopSignals(second_ends=False)
    try:
        with signals.listening():
            end_with_parent(signal.SIGTERM, int(os.environ[PARENT_VARIABLE]))
            folder.enter(rank)
            ending = _trained(Path(path), RunOptions.from_json(options), signals, rank)
    except StopRequested:  # before there was anything to save
        return ExitCode.INTERRUPTED
    except ProvecfgError as error:
        ending = Ending(records.FAILED, str(error), records.OTHER)
        folder.tell_failure(rank, ending)
        return ExitCode.FINDINGS
    if ending.state == records.FAILED:
        if rank:
            folder.tell_failure(rank, ending)
        return ExitCode.FINDINGS
    return ExitCode.CLEAN


def _trained(path: Path, options: RunOptions, signals: StopSignals, rank: int) -> Ending:
    from provecfg.training.preflight import prepare

    prepared = prepare(path, options)
    from provecfg.training.runner import train_among

    return train_among(prepared, signals, os.environ[LEASE_VARIABLE] if rank == 0 else None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
