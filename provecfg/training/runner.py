"""The run itself, in this process: mmengine's Runner between a record at the start and one at the end."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import itertools
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from provecfg.errors import ExitCode, ProvecfgError, wants_traceback
from provecfg.interruption import StopRequested, StopSignals, asks_requeue, shield_loader_process
from provecfg.paths import write_atomically
from provecfg.plugin.hooks import CheckpointOnInterruptHook, NonFiniteError, TrainingInterrupted
from provecfg.spelling import printable_lines
from provecfg.training import record as records
from provecfg.training.adapt import for_cpu_processes
from provecfg.training.attempt import OpenAttempt, begin, join
from provecfg.training.data_errors import BatchHook, name_files_in_errors
from provecfg.training.lease import LeaseLostError
from provecfg.training.loaded_weights import LoadedWeightsHook
from provecfg.training.outcome import Outcome
from provecfg.training.preflight import Prepared
from provecfg.training.progress import ProgressHook, display_for
from provecfg.training.random_state import RandomStateHook
from provecfg.training.record import Ending
from provecfg.training.work_dir import check_disk, name_in, step_of

_UNSAFE_LOAD = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_counter = itertools.count(1)


def train(prepared: Prepared, signals: StopSignals | None = None) -> Outcome:
    """Train what was prepared, to its end, an interruption or a failure.

    The work dir is this process's from the start to the end, and its record says `running` from before the model is
    built, and how it ended at the end.

    Args:
        prepared: The run.
        signals: Those that this process listens to, if it does already.

    Returns:
        The outcome. What a run can fail of is in it, with the traceback in the run's log; only what is no Exception is
        raised.

    Raises:
        ProvecfgError: It cannot begin, see `attempt.begin`, or its end cannot be written down.
    """
    started = time.monotonic()
    signals = signals or StopSignals()
    with signals.listening():
        signals.defer()  # a work dir is taken whole or not at all
        attempt = begin(prepared)
        try:
            if attempt.is_open:
                training = _Training(attempt.prepared, signals, attempt)
                ending = training.run()
                attempt.close(ending, training.iteration(), best=training.best(), last=training.last_checkpoint())
                training.let_go()
        finally:
            attempt.leave()
        return Outcome.of_record(attempt.record, attempt.work_dir, time.monotonic() - started)


def train_among(prepared: Prepared, signals: StopSignals, lease: str | None) -> Ending:
    """Train as one process of several that `launch` has started.

    Args:
        prepared: The run.
        signals: Those that this process listens to.
        lease: What `attempt.shared` gave, for the first process, which writes; None for the others.

    Returns:
        How it ended for this process. The first one's is in the record by then.
    """
    signals.defer()
    attempt = None if lease is None else join(prepared, lease)
    training = _Training(prepared, signals, attempt)
    ending = training.run()
    if attempt is not None:
        attempt.close(ending, training.iteration(), best=training.best(), last=training.last_checkpoint())
    training.let_go()
    return ending


class LeaseHook(Hook):
    """Ends a run whose work dir was taken over, at the latest before its next checkpoint.

    Also has the heartbeat tell the run's speed as soon as there is one.
    """

    priority = "VERY_HIGH"

    def __init__(self, attempt: OpenAttempt) -> None:
        self.attempt = attempt
        self._has_told_speed = False

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Go by what the heartbeat has seen."""
        self.attempt.check_lease(at_file_server=False)
        if not self._has_told_speed and self.attempt.status is not None and self.attempt.status.iters_per_second:
            self._has_told_speed = True
            self.attempt.beat_soon()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Look."""
        self.attempt.check_lease()


class _Training:
    """mmengine's Runner for a run, and what can be told of it when it has ended.

    Args:
        prepared: The run.
        signals: Those that may end it.
        attempt: That it is; None for a process that writes nothing.
    """

    def __init__(self, prepared: Prepared, signals: StopSignals, attempt: OpenAttempt | None) -> None:
        self.prepared = prepared
        self.signals = signals
        self.attempt = attempt
        self.runner: Runner | None = None

    def run(self) -> Ending:
        """Train; from its return on, signals are only noted."""
        batches = BatchHook()
        try:
            ending = self._trained(batches)
        except TrainingInterrupted as interruption:
            ending = Ending(records.INTERRUPTED, interruption.message, requeue=asks_requeue(interruption.signum))
        except StopRequested as stop:
            ending = Ending(records.INTERRUPTED, self._ended_at_once(stop), requeue=stop.requeue)
        except Exception as error:  # whatever the config's own code raises is the run's failure, and is recorded
            ending = _failure(self._cause_of(error), batches.label_outside(self.prepared.config))
            if self.signals.received is not None and ending.cause == records.OTHER:
                # A signal to all processes of the run can end the iteration by taking something from it.
                message = f"a signal ended the iteration ({ending.message}); nothing of it was saved"
                ending = Ending(records.INTERRUPTED, message, requeue=self.signals.asks_requeue)
            _log_traceback(self.runner, error)
        self.signals.finish()
        return ending

    def _cause_of(self, error: Exception) -> Exception:
        """The error, or that the work dir is another's: who took it has cleared away what was being written."""
        if self.attempt is not None:
            with contextlib.suppress(OSError):
                try:
                    self.attempt.check_lease()
                except LeaseLostError as lost:
                    return lost
        return error

    def _trained(self, batches: BatchHook) -> Ending:
        prepared = self.prepared
        interrupt = CheckpointOnInterruptHook()
        interrupt.signals = self.signals
        self.signals.start_over()
        with _trusting(prepared.options.trust_checkpoint), _threads(prepared), _noise(prepared) as noise:
            self.runner = runner = _build(prepared)
            noise.go_to(runner.logger)
            with _shown(runner, prepared, self.attempt):
                lease = (LeaseHook(self.attempt),) if self.attempt else ()
                for hook in (RandomStateHook(), batches, interrupt, *lease):
                    runner.register_hook(hook)
                runner.train()
        return _end_of(runner)

    def _ended_at_once(self, stop: StopRequested) -> str:
        name, step = signal.Signals(stop.signum).name, step_of(self.prepared.resume_from)
        last = self.last_checkpoint()
        done = self.iteration()
        if last is None:
            return f"{name} after iteration {done}: nothing was saved yet"
        saved = step_of(Path(last))
        lost = f", and {done - saved} iterations after it are lost" if done > max(saved, step) else ""
        return f"{name} ended it at once: {last} holds what was done{lost}"

    def iteration(self) -> int:
        """Iterations done. The loop has not counted the one whose hooks ended the run; the progress has, if it was."""
        before = step_of(self.prepared.resume_from)
        if self.runner is None or not self.runner.hooks:
            return before
        hooks = self.runner.hooks
        shown = next((hook.status.iteration for hook in hooks if isinstance(hook, ProgressHook)), before)
        return max(before, int(self.runner.iter), shown)  # the first: of a runner that has not loaded its checkpoint

    def best(self) -> dict[str, Any] | None:
        """Metric, value and checkpoint of the best validation, or None before the first."""
        if self.runner is None:
            return None
        hub = self.runner.message_hub
        value, file = hub.get_info("best_score"), hub.get_info("best_ckpt")
        if value is None:
            return None
        metric, _ = _goal(self.prepared.config)
        return {"metric": metric, "value": float(value), "checkpoint": name_in(self.prepared.work_dir.path, file)}

    def last_checkpoint(self) -> str | None:
        """The newest checkpoint, as the work dir names it, or None before the first."""
        file = None if self.runner is None else self.runner.message_hub.get_info("last_ckpt")
        return name_in(self.prepared.work_dir.path, file or self.prepared.resume_from)

    def let_go(self) -> None:
        """End the data-loading processes, which live as long as the runner."""
        self.runner = None
        end_loading_processes()
        gc.collect()


def end_loading_processes() -> None:
    """End every data-loading process of this one.

    Left to the collector, torch 2.13 waits five seconds for each: an iterator and its queues are in one circle, and the
    threads that would tell the processes to end are closed before the iterator is.
    """
    for item in gc.get_objects():
        if type(item) is _MultiProcessingDataLoaderIter:
            with contextlib.suppress(AttributeError):  # where not all could be started; those that were end
                item._shutdown_workers()


class _FormattedOnce(Config):
    """A config whose text is made again only after a change.

    mmengine formats it with yapf, which takes a tenth of a second or more, three times at the start and for every
    checkpoint.
    """

    _made: ClassVar[tuple[str, str]] = ("", "")

    @classmethod
    def of(cls, config: Config) -> Config:
        """The same config, sharing its contents."""
        made = cls.__new__(cls)
        made.__dict__.update(config.__dict__)
        return made

    @property
    def pretty_text(self) -> str:
        """The config as Python text."""
        contents = repr(self._cfg_dict)
        if _FormattedOnce._made[0] != contents:
            _FormattedOnce._made = (contents, super().pretty_text)
        return _FormattedOnce._made[1]


class _LogWriteError:
    """Says once, in a line, that a log cannot be written; logging itself prints a traceback for every line lost.

    Args:
        path: The log.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._was_said = False

    def __call__(self, record: logging.LogRecord) -> None:
        if not self._was_said:
            self._was_said = True
            print(f"the log {self._path} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)


class _QuietRunner(Runner):
    """mmengine's Runner, whose log goes to its file only."""

    shows_log = False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = _LogWriteError(handler.baseFilename)  # type: ignore[method-assign]
            elif isinstance(handler, logging.StreamHandler) and not type(self).shows_log:
                handler.setLevel(logging.CRITICAL)
        return logger

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader[Any]:
        """A dataloader whose processes only this one ends, and whose errors name the files."""
        loader = Runner.build_dataloader(*args, **kwargs)
        loader.worker_init_fn = _ShieldedStart(loader.worker_init_fn)
        name_files_in_errors(loader.dataset)
        return loader

    @master_only
    def dump_config(self) -> None:
        """Write the config to the work dir, whole or not at all."""
        name = Path(self.cfg.filename).name if self.cfg.filename else f"{self.timestamp}.py"
        write_atomically(Path(self.work_dir, name), self.cfg.dump() or "")


class _ShieldedStart:
    """What a data-loading process does first, and cannot be a closure of where it is spawned.

    Args:
        start: What it would do first, or None.
    """

    def __init__(self, start: Callable[[int], Any] | None) -> None:
        self._start = start

    def __call__(self, worker: int) -> None:
        shield_loader_process()
        if self._start is not None:
            self._start(worker)


def _build(prepared: Prepared) -> Runner:
    config = prepared.config
    if prepared.options.is_launched:
        config = _joined(config, prepared.device)
    # Instances of mmengine's are found by name, in one table for the whole process: without a name of its own, a second
    # run would log its scalars into the folder of the first.
    experiment = f"{prepared.name}_{next(_counter)}"
    config.experiment_name = experiment
    if config.get("visualizer"):
        config.visualizer.name = experiment
    config.resume = prepared.resume_from is not None
    if prepared.resume_from is not None:
        config.load_from = str(prepared.resume_from)
    _QuietRunner.shows_log = prepared.options.verbose
    runner = _QuietRunner.from_cfg(_FormattedOnce.of(config))
    if is_main_process():
        problems = check_disk(prepared.work_dir.path, _bytes_of_checkpoints(runner))
        if problems:
            raise ProvecfgError(problems[0].message, hint=problems[0].hint, exit_code=ExitCode.FINDINGS)
    return runner


def _joined(config: Any, device: str) -> Any:
    """The config for a process among several. On CPU also joins their group, which mmengine would do for CUDA only."""
    config.launcher = "pytorch"
    if device == "cpu":
        config = for_cpu_processes(config)
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
    return config


@contextlib.contextmanager
def _shown(runner: Runner, prepared: Prepared, attempt: OpenAttempt | None) -> Iterator[None]:
    """Show the run's progress, to people and in its heartbeat."""
    options = prepared.options
    metric, higher_is_better = _goal(prepared.config)
    quiet = options.quiet or options.verbose or not is_main_process()
    logger = (prepared.config.get("default_hooks") or {}).get("logger") or {}
    every = logger.get("interval", 10)  # mmengine's default
    display = display_for(quiet=quiet, every=every)
    progress = ProgressHook(prepared.name, metric, higher_is_better, display)
    runner.register_hook(progress)
    runner.register_hook(LoadedWeightsHook(display.note))
    if attempt is not None:
        attempt.status = progress.status
    try:
        yield
    finally:
        display.close()


def _noise(prepared: Prepared) -> _LoggedNoise:
    return _LoggedNoise(everything=not prepared.options.verbose)


class _LoggedNoise(contextlib.AbstractContextManager["_LoggedNoise"]):
    """What warns or prints meanwhile goes to the run's log instead of into the display, and not to standard output.

    Args:
        everything: Also what is printed; else only Python's warnings.
    """

    def __init__(self, everything: bool) -> None:
        self._logger: MMLogger | None = None
        self._waiting: list[tuple[int, str]] = []
        self._shown = warnings.showwarning
        self._prints = contextlib.redirect_stdout(_Lines(self._log)) if everything else contextlib.nullcontext()

    def __enter__(self) -> _LoggedNoise:
        warnings.showwarning = self._warn
        self._prints.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._prints.__exit__(*exception)
        warnings.showwarning = self._shown

    def go_to(self, logger: MMLogger) -> None:
        """Log what has waited for there to be a log, and all that follows."""
        self._logger = logger
        for level, text in self._waiting:
            logger.log(level, text)

    def _warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        self._log(f"{filename}:{lineno}: {category.__name__}: {message}", logging.WARNING)

    def _log(self, text: str, level: int = logging.INFO) -> None:
        if self._logger is None:
            self._waiting.append((level, text))
        else:
            self._logger.log(level, text)


class _Lines(io.TextIOBase):
    """A stream that hands on whole lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take, self._rest = take, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            self._take(line)
        return len(text)


@contextlib.contextmanager
def _threads(prepared: Prepared) -> Iterator[None]:
    """One thread for a smoke run on CPU, unless the environment says how many.

    Its crops are so small that threads mostly wait for each other: where another process had one of two cores, an
    iteration of PSPNet took 8 s with two threads and 1 s with one.
    """
    if not prepared.options.smoke or prepared.device != "cpu" or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _trusting(trusted: bool) -> Iterator[None]:
    """Let torch load checkpoints that are more than data, where the user said so and every file was looked at."""
    if not trusted:
        yield
        return
    before = os.environ.get(_UNSAFE_LOAD)
    os.environ[_UNSAFE_LOAD] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_UNSAFE_LOAD]
        else:
            os.environ[_UNSAFE_LOAD] = before


def _goal(config: Any) -> tuple[str, bool]:
    """The metric that the run goes by, and whether higher is better."""
    hooks = [*(config.get("default_hooks") or {}).values(), *(config.get("custom_hooks") or [])]
    for key in ("monitor", "save_best"):
        for hook in hooks:
            if isinstance(hook, dict) and isinstance(hook.get(key), str):
                return hook[key], hook.get("rule") != "less"
    return "val/mIoU", True


def _end_of(runner: Runner) -> Ending:
    loop = runner.train_loop
    if getattr(loop, "stop_training", False) and runner.iter < runner.max_iters:
        return Ending(records.STOPPED, f"early stop at iteration {runner.iter} of {runner.max_iters}")
    return Ending(records.FINISHED)


def _bytes_of_checkpoints(runner: Runner) -> int:
    """Estimate for all that are kept at once: weights and their optimizer's state, in float32."""
    weights = sum(weight.numel() for weight in runner.model.parameters())
    wrapper = runner.optim_wrapper
    kind = str((wrapper.get("optimizer") or {}).get("type")) if isinstance(wrapper, dict) else ""
    copies = 1 + (2 if "Adam" in kind else 1)
    hook = runner.cfg.get("default_hooks", {}).get("checkpoint") or {}
    kept = hook.get("max_keep_ckpts", -1)
    # Beside those kept: the best one, and the one that is written before an old one goes.
    files = (kept if kept > 0 else 1) + 2
    return int(weights * 4 * copies * files)


def _failure(error: Exception, label_outside: str | None) -> Ending:
    """How a run ends that has raised.

    Args:
        error: What it raised.
        label_outside: What is wrong with the labels of its last batch, or None.
    """
    if isinstance(error, ProvecfgError):
        cause = {NonFiniteError: records.NOT_FINITE, LeaseLostError: records.LEASE_LOST}.get(type(error), records.OTHER)
        message = str(error)
    elif isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        cause = records.OUT_OF_MEMORY
        kind = "memory" if isinstance(error, MemoryError) else "GPU memory"
        message = f"out of {kind}: {_first_line(error)}\n  hint: lower the batch size or the crop size"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        cause = records.DISK_FULL
        file = f" for {error.filename}" if error.filename else ""
        message = f"the disk is full ({error.strerror}{file})\n  hint: free some, and start the same command again"
    else:
        cause, message = records.OTHER, f"{type(error).__name__}: {error}"
    if label_outside is not None:
        message = f"{label_outside}\n  ({_first_line(error)})"
    return Ending(records.FAILED, message, cause)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _log_traceback(runner: Runner | None, error: Exception) -> None:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if runner is not None:
        runner.logger.error(text)
    if wants_traceback():
        print(printable_lines(text), file=sys.stderr)
