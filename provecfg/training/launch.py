"""Several processes for one run: torchrun as a child, which starts `provecfg.training.worker` in each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.training import record as records
from provecfg.training.options import RunOptions

_MASTER = ("MASTER_ADDR", "NODE_RANK")
_DEFAULT_PORT = "29500"


def torchrun_command(path: Path, options: RunOptions, environment: dict[str, str] | None = None) -> list[str]:
    """The words that start the run's processes.

    On one machine they find each other by themselves. On several, the command is started on each, with MASTER_ADDR (and
    MASTER_PORT) naming the first and NODE_RANK counting them from 0.

    Raises:
        ProvecfgError: Several machines, and the environment does not say which this is.
    """
    environment = dict(os.environ) if environment is None else environment
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={options.gpus}"]
    if options.nodes == 1:
        command.append("--standalone")
    else:
        missing = [name for name in _MASTER if name not in environment]
        if missing:
            raise ProvecfgError(
                f"--nodes {options.nodes} needs {' and '.join(missing)} in the environment",
                hint="start the same command on each machine, MASTER_ADDR being the first one's address on all of them "
                "and NODE_RANK 0 on the first, 1 on the next",
            )
        command += [
            f"--nnodes={options.nodes}",
            f"--node-rank={environment['NODE_RANK']}",
            f"--master-addr={environment['MASTER_ADDR']}",
            f"--master-port={environment.get('MASTER_PORT', _DEFAULT_PORT)}",
        ]
    return [*command, "--module", "provecfg.training.worker", str(path), options.to_json()]


def launch(path: Path, options: RunOptions, work_dir: Path) -> ExitCode:
    """Run a config in several processes and wait for them.

    They are a session of their own, so that a Ctrl-C reaches them once, from here: it and SIGTERM are handed on as
    SIGTERM, at which each finishes its iteration and the first writes a checkpoint. A second one ends them at once.

    Returns:
        What the run's record says of its end; a failure if it says nothing.
    """
    began = time.time()
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        # What torchrun and mmengine would set, with a long remark each.
        environment.setdefault(name, "1")
    child = subprocess.Popen(torchrun_command(path, options), env=environment, start_new_session=True)
    received: list[int] = []

    def hand_on(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        if child.poll() is None:
            if len(received) == 1:
                child.terminate()  # to torchrun alone, which tells its processes; from us too it would be their second
            else:
                os.killpg(child.pid, signal.SIGKILL)

    previous = {signum: signal.signal(signum, hand_on) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    if received:
        return ExitCode.INTERRUPTED
    record = records.read_record(work_dir)
    if record is not None and (work_dir / records.FILENAME).stat().st_mtime >= began - 1:
        state = record.state
        if state == records.INTERRUPTED:
            return ExitCode.INTERRUPTED
        if state in (records.FINISHED, records.STOPPED) and code == 0:
            return ExitCode.CLEAN
    return ExitCode.FINDINGS
