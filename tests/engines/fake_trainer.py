"""Stands for `provecfg run`: the same lease, record, checkpoints, signals and exit codes, and no training.

`python fake_trainer.py CONFIG WORK_DIR`. What it does is in the config's name: `quick` has 3 iterations, `long` 60 and
`ages` 300; `finding` is refused before it begins, `nan` fails after one iteration, `oom` is killed after one in its
first life. An iteration takes a tenth of a second, and every one is kept.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from provecfg.engines.cell_process import end_with_engine
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopRequested, StopSignals
from provecfg.training import record as records
from provecfg.training.heartbeat import TRAINING, Heartbeat, write_heartbeat
from provecfg.training.lease import acquire
from provecfg.training.record import Ending, Record, new_attempt, read_record

ITERATION_SECONDS = 0.1


def main(config: Path, work_dir: Path) -> int:
    """Train, as it were."""
    end_with_engine()
    signals = StopSignals()
    try:
        with signals.listening():
            return _run(config, work_dir, signals)
    except StopRequested as stop:
        return ExitCode.REQUEUE if stop.requeue else ExitCode.INTERRUPTED
    except ProvecfgError as error:
        print(f"error: {error}")
        return ExitCode.FINDINGS


def _run(config: Path, work_dir: Path, signals: StopSignals) -> int:
    if config.stem.startswith("finding"):
        print(f"{config}:3: error LOSS003 two activations\nnot trained")
        return ExitCode.FINDINGS
    signals.defer()
    lease = acquire(work_dir)
    record = read_record(work_dir) or Record(config.stem, {}, {}, False, _length(config), 42, {}, None)
    if record.state in (records.FINISHED, records.STOPPED):
        print("already finished")
        return ExitCode.CLEAN
    done = max((int(path.stem[5:]) for path in work_dir.glob("iter_*.pth")), default=0)
    if record.is_open:
        record = record.closed(Ending(records.LOST, "its process was killed", records.KILLED), done)
    attempt = new_attempt(first_iter=done, command=(), device="cpu", processes=1)
    record = record.started(attempt)
    record.write(work_dir)
    print(f"trains from {done} on device {os.environ.get('CUDA_VISIBLE_DEVICES')}", flush=True)
    ending = Ending(records.FINISHED)
    while done < _length(config):
        time.sleep(ITERATION_SECONDS)
        done += 1
        (work_dir / f"iter_{done}.pth").write_bytes(b"")
        write_heartbeat(work_dir, Heartbeat(records.now(), lease.token, TRAINING, done, _length(config), 10.0, 1.0))
        if config.stem.startswith("oom") and len(record.attempts) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if config.stem.startswith("nan"):
            ending = Ending(records.FAILED, f"the loss is nan in iteration {done}", records.NOT_FINITE)
            break
        if signals.received is not None:
            name = signal.Signals(signals.received).name
            ending = Ending(records.INTERRUPTED, f"{name} after {done}", requeue=signals.asks_requeue)
            break
    signals.finish()
    record.closed(ending, done).write(work_dir)
    lease.release()
    codes = {records.FINISHED: ExitCode.CLEAN, records.FAILED: ExitCode.FINDINGS}
    return codes.get(ending.state, ExitCode.REQUEUE if ending.requeue else ExitCode.INTERRUPTED)


def _length(config: Path) -> int:
    return {"long": 60, "ages": 300}.get(config.stem[:4], 3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
