"""The run itself, in this process: mmengine's Runner between a record at the start and one at the end."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process, master_only
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from provecfg.errors import ExitCode, ProvecfgError, wants_traceback
from provecfg.paths import write_atomically
from provecfg.plugin.hooks import CheckpointOnInterruptHook, TrainingInterrupted
from provecfg.spelling import printable_lines
from provecfg.training import record as records
from provecfg.training.adapt import for_cpu_processes
from provecfg.training.preflight import Prepared
from provecfg.training.progress import ProgressHook, display_for
from provecfg.training.record import Record
from provecfg.training.work_dir import check_disk, step_of

_UNSAFE_LOAD = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_counter = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Args:
        name: The config's name.
        state: One of the states in `record`.
        iteration: Iterations done.
        max_iters: To be done, or None for a loop that counts epochs.
        message: Why, where there is more to say.
        best: Metric, value and checkpoint, or None.
        work_dir: Where it is kept.
        seconds: It took, this time.
    """

    name: str
    state: str
    iteration: int
    max_iters: int | None
    message: str
    best: dict[str, Any] | None
    work_dir: Path
    seconds: float

    @property
    def exit_code(self) -> ExitCode:
        """What a command that ran only this exits with."""
        return {
            records.FAILED: ExitCode.FINDINGS,
            records.RUNNING: ExitCode.FINDINGS,  # a process of it died without a word
            records.INTERRUPTED: ExitCode.INTERRUPTED,
        }.get(self.state, ExitCode.CLEAN)

    @classmethod
    def of_record(cls, record: Record, work_dir: Path, seconds: float = 0.0) -> Outcome:
        """The outcome of the last attempt of a record."""
        last = record.attempts[-1]
        return cls(
            record.name,
            last.state,
            last.last_iter if last.last_iter is not None else last.first_iter,
            record.max_iters,
            last.message,
            dict(record.best) if record.best else None,
            work_dir,
            seconds,
        )


def train(prepared: Prepared) -> Outcome:
    """Train what was prepared, to its end, an interruption or a failure.

    The record in the work dir says `running` from before the model is built, and how it ended at the end.

    Returns:
        The outcome. What a run can fail of is in it, with the traceback in the run's log; only what is no Exception is
        raised.
    """
    started = time.monotonic()
    prepared = begin(prepared)
    record = new_record(prepared)
    if _is_first_process():
        record.write(prepared.work_dir.path)
        records.keep_sources(prepared.work_dir.path, prepared.files)
    runner: Runner | None = None
    interrupt = CheckpointOnInterruptHook()
    try:
        with (
            interrupt.listening(),
            _trusting(prepared.options.trust_checkpoint),
            _threads(prepared),
            _noise(prepared) as noise,
        ):
            runner = _build(prepared)
            noise.go_to(runner.logger)
            with _shown(runner, prepared):
                runner.register_hook(interrupt)
                runner.train()
        state, message = _end_of(runner)
    except TrainingInterrupted as ended:
        state, message = records.INTERRUPTED, str(ended)
    except KeyboardInterrupt:
        state, message = records.INTERRUPTED, "before the first iteration ended; nothing was saved"
    except Exception as error:  # whatever the config's own code raises is the run's failure, and is recorded
        state, message = records.FAILED, _reason(error)
        if interrupt.received is not None:
            # A signal to all processes of the run can end the iteration by taking something from it.
            state, message = records.INTERRUPTED, f"a signal ended the iteration ({message}); nothing of it was saved"
        _log_traceback(runner, error)
    iteration = _iteration(runner, step_of(prepared.resume_from))
    best = _best(runner, prepared)
    if is_main_process():
        last = _file_in(prepared.work_dir.path, _last_checkpoint(runner))
        record = record.ended(state, iteration, message, best=best, last=last or record.last_checkpoint)
        record.write(prepared.work_dir.path)
    else:
        record = record.ended(state, iteration, message, best=best, last=None)
    del runner
    gc.collect()  # data-loading workers live as long as the runner
    return Outcome.of_record(record, prepared.work_dir.path, time.monotonic() - started)


def begin(prepared: Prepared) -> Prepared:
    """Clear away a replaced smoke run."""
    if _is_first_process():
        prepared.work_dir.clear()
    return prepared


def new_record(prepared: Prepared) -> Record:
    """The record of the run with its new attempt."""
    config, options, found = prepared.config, prepared.options, prepared.work_dir
    earlier = found.record if prepared.resume_from is not None and found.record is not None else None
    text = prepared.files[next(iter(prepared.files))]
    record = Record(
        name=prepared.name,
        config=records.config_facts(prepared.path.absolute(), text),
        fingerprint=prepared.fingerprint,
        smoke=options.smoke,
        max_iters=config.train_cfg.get("max_iters"),
        seed=(config.get("randomness") or {}).get("seed"),
        versions=records.versions(),
        git=records.git_state(prepared.path.absolute().parent),
        attempts=earlier.attempts if earlier else (),
        best=earlier.best if earlier else None,
        last_checkpoint=earlier.last_checkpoint if earlier else None,
    )
    return record.started(
        records.new_attempt(
            first_iter=step_of(prepared.resume_from),
            command=options.command,
            device=prepared.device,
            processes=options.processes,
        )
    )


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


class _QuietRunner(Runner):
    """mmengine's Runner, whose log goes to its file only."""

    shows_log = False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        if not type(self).shows_log:
            for handler in logger.handlers:
                if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                    handler.setLevel(logging.CRITICAL)
        return logger

    @master_only
    def dump_config(self) -> None:
        """Write the config to the work dir, whole or not at all."""
        name = Path(self.cfg.filename).name if self.cfg.filename else f"{self.timestamp}.py"
        write_atomically(Path(self.work_dir, name), self.cfg.dump() or "")


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
def _shown(runner: Runner, prepared: Prepared) -> Iterator[None]:
    """Show the run's progress."""
    options = prepared.options
    metric, higher_is_better = _goal(prepared.config)
    quiet = options.quiet or options.verbose or not is_main_process()
    logger = (prepared.config.get("default_hooks") or {}).get("logger") or {}
    every = logger.get("interval", 10)  # mmengine's default
    display = display_for(quiet=quiet, every=every)
    runner.register_hook(ProgressHook(prepared.name, metric, higher_is_better, display))
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

    def _warn(self, message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
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


def _end_of(runner: Runner) -> tuple[str, str]:
    loop = runner.train_loop
    if getattr(loop, "stop_training", False) and runner.iter < runner.max_iters:
        return records.STOPPED, f"early stop at iteration {runner.iter} of {runner.max_iters}"
    return records.FINISHED, ""


def _iteration(runner: Runner | None, before: int) -> int:
    """Iterations done. The loop has not counted the one whose hooks ended the run; the progress has, if it was done."""
    if runner is None or not runner.hooks:
        return before
    shown = next((hook.status.iteration for hook in runner.hooks if isinstance(hook, ProgressHook)), before)
    return max(runner.iter, shown)


def _best(runner: Runner | None, prepared: Prepared) -> dict[str, Any] | None:
    if runner is None:
        return None
    hub = runner.message_hub
    value, file = hub.get_info("best_score"), hub.get_info("best_ckpt")
    if value is None:
        return None
    metric, _ = _goal(prepared.config)
    return {"metric": metric, "value": float(value), "checkpoint": _file_in(prepared.work_dir.path, file)}


def _last_checkpoint(runner: Runner | None) -> str | None:
    return None if runner is None else runner.message_hub.get_info("last_ckpt")


def _file_in(work_dir: Path, file: str | None) -> str | None:
    """The file as the work dir sees it, so that the dir can be moved."""
    if file is None:
        return None
    path = Path(file)
    return path.name if path.parent.resolve() == work_dir.resolve() else str(path)


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


def _reason(error: Exception) -> str:
    if isinstance(error, ProvecfgError):
        return str(error)
    if isinstance(error, torch.OutOfMemoryError if hasattr(torch, "OutOfMemoryError") else torch.cuda.OutOfMemoryError):
        return f"out of GPU memory: {str(error).partition(chr(10))[0]}\n  hint: lower the batch size or the crop size"
    return f"{type(error).__name__}: {error}"


def _log_traceback(runner: Runner | None, error: Exception) -> None:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if runner is not None:
        runner.logger.error(text)
    if wants_traceback():
        print(printable_lines(text), file=sys.stderr)


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"
