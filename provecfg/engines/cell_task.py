"""What a task of a cluster does: it trains its cells one after the other, each in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from provecfg.engines.cell_process import CellProcess, LifeEnd, Verdict, iteration_kept
from provecfg.engines.engine import Engine, engine_named
from provecfg.engines.lives import MOST_EQUAL_FAILURES, Lives, kind_of_failure
from provecfg.engines.profile import Profile
from provecfg.engines.task_script import profile_in
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import STOP_SIGNALS, StopRequested, StopSignals
from provecfg.ledger.cell import Cell
from provecfg.ledger.refusal import read_refusal
from provecfg.ledger.study_folder import Study, Submission, read_submission, require_study
from provecfg.training import record as records
from provecfg.training.job import current_job
from provecfg.training.lease import ENDED_HOLDER, Tenancy, look_at_lease
from provecfg.training.record import read_record

_POLL_SECONDS: Final = 0.2
_ASK_AGAIN_SECONDS: Final = 5.0
_END_SECONDS: Final = 120.0
"""So long a task that has asked to be started again waits for its engine to end it."""


class CellTask:
    """A task of a submission.

    Args:
        study_dir: The study's folder.
        number: Of the submission.
        index: Of the task.
        note: Called with what a person may want to know.

    Raises:
        ProvecfgError: There is no such task.
    """

    def __init__(self, study_dir: Path, number: int, index: int, note: Callable[[str], None]) -> None:
        self._study_dir = study_dir
        self._study: Study = require_study(study_dir)
        self._submission: Submission = read_submission(study_dir, number)
        if not 0 <= index < len(self._submission.tasks):
            raise ProvecfgError(f"submission {number} has tasks 0 to {len(self._submission.tasks) - 1}, and no {index}")
        self._cells = self._submission.tasks[index]
        self._profile: Profile = profile_in(self._submission)
        self._engine: Engine = engine_named(self._submission.engine)
        self._note = note
        self._is_first_node = os.environ.get("NODE_RANK", "0") == "0"

    def run(self, signals: StopSignals) -> ExitCode:
        """Train its cells; what earlier lives of the task have done is passed over."""
        signals.defer()
        code = ExitCode.CLEAN
        for identity in self._cells:
            cell = self._study.cell(identity)
            if self._is_over(cell):
                self._note(f"{cell.id}: done before")
                continue
            if signals.received is None and (cause := self._cause_to_stop()):
                self._note(f"{cell.id}: not begun: {cause}")
                self._engine.cancel(self._study_dir, self._submission)
                return ExitCode.FINDINGS
            end = self._trained(cell, signals)
            if end is not None:
                self._note(f"{cell.id}: {end.verdict.value}: {end.message} (iteration {end.iteration})")
            if (code_of_end := self._end_of_task(cell, end, signals)) is not None:
                return code_of_end
            if end is not None and end.verdict not in (Verdict.DONE, Verdict.ELSEWHERE):
                code = ExitCode.FINDINGS
        return code

    def _end_of_task(self, cell: Cell, end: LifeEnd | None, signals: StopSignals) -> ExitCode | None:
        """What the task ends with after this cell, or None where it goes on with the next."""
        if signals.received is not None:
            return self._requeued(cell) if signals.asks_requeue else ExitCode.INTERRUPTED
        return self._requeued(cell) if end is not None and end.verdict is Verdict.AGAIN else None

    def _trained(self, cell: Cell, signals: StopSignals) -> LifeEnd | None:
        """The end of its last life here; None where a signal came before the first."""
        lives, end = Lives(self._submission.retries), None
        while signals.received is None:
            try:
                process = CellProcess(
                    self._study_dir / cell.config,
                    self._study_dir / cell.work_dir,
                    self._words(),
                    self._ended_holder(cell),
                    name=cell.id,
                )
            except ProvecfgError as error:  # a work dir that cannot be written to is this cell's alone
                return LifeEnd(Verdict.FAILED, str(error), 0)
            self._wait(process, signals)
            end = process.end()
            if end.verdict is Verdict.AGAIN or not lives.goes_on(end, process.iteration_before):
                break
            self._note(f"{cell.id}: {end.verdict.value}: {end.message}; it is started again")
        return end

    def _ended_holder(self, cell: Cell) -> dict[str, str]:
        """What tells a cell's process that the holder of its lease is gone, where the engine has ended its job.

        The machine of that holder may have been lost without a word, and the heartbeat alone would be waited for.
        """
        with suppress(OSError, ProvecfgError):
            lease = look_at_lease(self._study_dir / cell.work_dir)
            holder = lease.holder
            if lease.tenancy is not Tenancy.HELD or holder is None or holder.is_on_this_machine():
                return {}
            job = holder.job
            if job is not None and job.scheduler == self._submission.engine and self._engine.has_ended(job):
                return {ENDED_HOLDER: holder.token}
        return {}

    def _wait(self, process: CellProcess, signals: StopSignals) -> None:
        """Wait for its end, and hand the first signal on; a second one ends it at once."""
        handed_on = False
        try:
            while not process.wait(_POLL_SECONDS):
                if signals.received is not None and not handed_on:
                    handed_on = True
                    process.send(signals.received)
        except StopRequested:
            signals.finish()
            process.send(signal.SIGKILL)

    def _requeued(self, cell: Cell) -> ExitCode:
        job = current_job()
        work_dir = self._study_dir / cell.work_dir
        if job is not None and job.restarts >= self._profile.max_num_timeout:
            self._note(f"not started again: {job} was {job.restarts} times, max_num_timeout")
        elif _is_barren(work_dir):
            self._note(f"not started again: two lives of {cell.id} have made no iteration between them")
        elif self._is_first_node and self._is_requeued():
            _await_end()
        return ExitCode.REQUEUE

    def _is_requeued(self) -> bool:
        """Ask the engine to start the task again, several times where its controller is away for a moment."""
        until = time.monotonic() + _END_SECONDS
        while True:
            try:
                return self._engine.requeue_this_task()
            except ProvecfgError as error:
                if time.monotonic() > until:
                    self._note(f"not started again: {error.message}; `provecfg resume {self._study_dir}` does")
                    return False
            time.sleep(_ASK_AGAIN_SECONDS)

    def _words(self) -> list[str]:
        words = list(self._study.run_options)
        if self._profile.gpus_per_node > 1:
            words += ["--gpus", str(self._profile.gpus_per_node)]
        if self._profile.nodes > 1:
            words += ["--nodes", str(self._profile.nodes)]
        return words

    def _is_over(self, cell: Cell) -> bool:
        """Whether a task of this submission or an earlier one has trained it to its end, or this one has failed to."""
        work_dir = self._study_dir / cell.work_dir
        try:
            record = read_record(work_dir)
        except ProvecfgError:
            return False  # `run` says what is wrong with it
        if record is not None and record.state in (records.FINISHED, records.STOPPED):
            return True
        return self._failure_of(cell) is not None

    def _failure_of(self, cell: Cell) -> str | None:
        """Why it has failed since this submission was made; None where it has not."""
        work_dir, since = self._study_dir / cell.work_dir, self._submission.made
        refusal = read_refusal(work_dir)
        if refusal is not None and refusal.time > since:
            return refusal.message
        try:
            record = read_record(work_dir)
        except ProvecfgError:
            return None
        if record is None or not record.attempts or record.state != records.FAILED:
            return None
        last = record.attempts[-1]
        return last.message if (last.ended or "") > since and last.cause not in _TRANSIENT else None

    def _cause_to_stop(self) -> str | None:
        """Why no more cells are begun, or None."""
        failures = [failure for cell in self._study.cells if (failure := self._failure_of(cell)) is not None]
        kind, count = next(iter(Counter(map(kind_of_failure, failures)).most_common(1)), ("", 0))
        if count < MOST_EQUAL_FAILURES:
            return None
        example = next(failure for failure in failures if kind_of_failure(failure) == kind)
        return f"{count} cells have failed alike: {example}"


def _await_end() -> None:
    """Wait until the engine, which starts this task again, ends it: by a signal first, which it gives time to obey."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    signal.sigtimedwait(STOP_SIGNALS, _END_SECONDS)


_TRANSIENT: Final = (records.KILLED, records.LEASE_LOST)


def _is_barren(work_dir: Path) -> bool:
    """Whether the last two lives of a run have made no iteration between them."""
    try:
        record = read_record(work_dir)
    except ProvecfgError:
        return False
    if record is None or len(record.attempts) < 2:
        return False
    return iteration_kept(work_dir) <= record.attempts[-2].first_iter
