"""Several processes for one run: torchrun as a child, which starts `provecfg.training.worker` in each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopRequested, StopSignals
from provecfg.training import record as records
from provecfg.training.attempt import LEASE_VARIABLE, OpenAttempt, begin, shared
from provecfg.training.launch_folder import PARENT_VARIABLE, VARIABLE, LaunchFolder
from provecfg.training.options import RunOptions
from provecfg.training.outcome import Outcome
from provecfg.training.preflight import Prepared
from provecfg.training.record import Ending, Record
from provecfg.training.work_dir import checkpoints_of, step_of

_POLL_SECONDS = 0.2
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
    command = [sys.executable, "-m", "provecfg.training.torchrun", f"--nproc-per-node={options.gpus}"]
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


def launch(prepared: Prepared, signals: StopSignals) -> Outcome:
    """Run a config in several processes and wait for them.

    They are sessions of their own, so that a Ctrl-C reaches them once, from here: the first signal is handed on to
    each, at which all finish the iteration and the first writes a checkpoint. A second one ends them at once. Of
    several machines the first has the work dir; the others' part of the outcome is what its record says.

    Args:
        prepared: The run.
        signals: Those that this process listens to.

    Raises:
        ProvecfgError: It cannot begin, see `torchrun_command` and `attempt.begin`.
    """
    started = time.monotonic()
    path = prepared.work_dir.path
    command = torchrun_command(prepared.path, prepared.options)
    signals.defer()  # a work dir is taken whole or not at all
    if not prepared.options.is_first_machine:
        with _folder() as folder:
            _run_torchrun(command, signals, folder, {})
        return Outcome.of_record(_present_record(path), path, time.monotonic() - started)
    attempt = begin(prepared)
    try:
        if attempt.is_open:
            attempt.stop_pulse()  # the first of the processes goes on with it
            with _folder() as folder:
                _run_torchrun(command, signals, folder, {LEASE_VARIABLE: shared(attempt)})
                signals.finish()
                attempt.record = _present_record(path)
                _close(attempt, signals, folder)
    finally:
        attempt.leave()
    return Outcome.of_record(attempt.record, path, time.monotonic() - started)


def _run_torchrun(
    command: Sequence[str], signals: StopSignals, folder: LaunchFolder, environment: Mapping[str, str]
) -> None:
    """Start the processes, hand the first signal on to them, and wait until the last one has ended."""
    child_environment = {**os.environ, **environment, VARIABLE: str(folder.path), PARENT_VARIABLE: str(os.getpid())}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        # What torchrun and mmengine would set, with a long remark each.
        child_environment.setdefault(name, "1")
    child = subprocess.Popen(command, env=child_environment, start_new_session=True)
    handed_on = False
    try:
        while child.poll() is None:
            if signals.received is not None and not handed_on:
                handed_on = True
                folder.hand_on(signals.received)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_SECONDS)
        folder.wait()
    except StopRequested:
        signals.finish()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        folder.kill()


def _close(attempt: OpenAttempt, signals: StopSignals, folder: LaunchFolder) -> None:
    """Say in the record what the process that writes it could not."""
    killed = [process for process in folder.exits() if process.code < 0]
    told = folder.failure()
    last = next(iter(checkpoints_of(attempt.work_dir)), None)
    iteration = max(attempt.record.attempts[-1].first_iter, step_of(last))
    if signals.received is not None:
        if attempt.record.is_open:
            name = signal.Signals(signals.received).name
            kept = f"{last.name} holds what was done" if last else "nothing was saved yet"
            ending = Ending(records.INTERRUPTED, f"{name} ended it at once: {kept}", requeue=signals.asks_requeue)
            attempt.close(ending, iteration)
    elif killed:
        # The others lose their connection to it, or are told to end, which is not what ended the run.
        ranks = ", ".join(f"process {process.rank} by {signal.Signals(-process.code).name}" for process in killed)
        ending = Ending(
            records.FAILED, f"of its {attempt.prepared.options.processes} processes, killed: {ranks}", records.KILLED
        )
        attempt.close(ending, iteration)
    elif attempt.record.is_open:
        exits = (f"process {process.rank} with exit code {process.code}" for process in folder.exits())
        message = f"ended before its end: {', '.join(exits) or 'torchrun'}"
        attempt.close(told or Ending(records.FAILED, message, records.OTHER), iteration)


def _present_record(work_dir: Path) -> Record:
    record = records.read_record(work_dir)
    if record is None or not record.attempts:
        raise ProvecfgError(f"{work_dir / records.FILENAME} is gone", exit_code=ExitCode.FINDINGS)
    return record


@contextlib.contextmanager
def _folder() -> Iterator[LaunchFolder]:
    with tempfile.TemporaryDirectory(prefix="provecfg-launch-") as path:
        yield LaunchFolder(Path(path))
