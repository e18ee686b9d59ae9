"""When validations, checkpoints and log lines fall: the real loop, gone through with the real hooks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.runner import IterBasedTrainLoop

from provecfg.findings import Finding
from provecfg.proof.clock.dry_run import CountingRunner, DryRun
from provecfg.proof.clock.event_checks import check_checkpoints, check_log, check_validations
from provecfg.proof.clock.problems import DATA_STARTS_ANEW, LOOP_FAILS, NEVER_ENDS, NOTHING_TRAINED
from provecfg.proof.clock.samplers import batches_in, is_endless
from provecfg.proof.dry_runner import EmptyBatches, TooLongError
from provecfg.proof.exceptions import described
from provecfg.proof.subject import Subject

ASSUMED_BATCHES = 100
"""Batches in an epoch where the data is not given."""
_MOST_STEPS = 300_000
_UNKNOWN_LENGTH = sys.maxsize
"""Batches in a pass over the data that a loop by iterations never comes to the end of."""


def dry_run(subject: Subject) -> DryRun:
    """Build the loop of the config, and let it run with its hooks and nothing to train."""
    config, run = subject.config, DryRun()
    _check_validation_sampler(config, run)
    in_data = batches_in(subject, "train_dataloader")
    endless = is_endless(config.get("train_dataloader") or {})
    if not isinstance(config.get("train_cfg"), dict):
        return run
    batches = EmptyBatches(in_data or ASSUMED_BATCHES, endless=bool(endless))
    runner = CountingRunner(config, batches, subject.work_dir)
    try:
        loop = runner.train_loop
    except Exception as error:
        run.findings.append(_failed(error, "train_cfg", "the loop cannot be built"))
        return run
    run.runner, run.batches, run.batches_known = runner, in_data, in_data is not None
    run.unit, run.length = runner.unit, runner.length
    if runner.counts_epochs:
        run.batches = in_data or ASSUMED_BATCHES
        if run.length * run.batches > _MOST_STEPS:
            run.batches, run.batches_known = max(1, _MOST_STEPS // run.length), False
        runner.feed(EmptyBatches(run.batches, endless=False))
    else:
        runner.feed(EmptyBatches(in_data or _UNKNOWN_LENGTH, endless=True))
    if run.length < 1:
        name = "max_epochs" if runner.counts_epochs else "max_iters"
        run.findings.append(
            Finding(NOTHING_TRAINED, f"the run has {run.length} {run.unit}s", f"train_cfg.{name}", "give 1 or more")
        )
        return run
    _say_length(run, runner)
    if runner.counts_epochs and endless:
        run.findings.append(_never_ends("train_dataloader", f"{type(loop).__name__} waits for the end of an epoch"))
        return run
    if isinstance(loop, IterBasedTrainLoop) and endless is False:
        passes = f", {-(-run.length // in_data)} times in this run" if in_data else ""
        run.findings.append(
            Finding(
                DATA_STARTS_ANEW,
                f"{_sampler_type(config, 'train_dataloader')} ends after each pass over the data{passes}, and "
                f"{type(loop).__name__} starts it anew",
                "train_dataloader.sampler",
                "InfiniteSampler never ends",
            )
        )
    _drive(run, runner)
    return run


def _check_validation_sampler(config: Any, run: DryRun) -> None:
    loader = config.get("val_dataloader")
    if isinstance(loader, dict) and is_endless(loader):
        run.findings.append(_never_ends("val_dataloader", "a validation waits for the end of the data"))


def _never_ends(key: str, waiting: str) -> Finding:
    return Finding(NEVER_ENDS, f"the sampler never ends, and {waiting}", f"{key}.sampler", "use DefaultSampler")


def _sampler_type(config: Any, key: str) -> str:
    cls = config[key]["sampler"]["type"]
    return cls if isinstance(cls, str) else str(cls.__name__)


def _say_length(run: DryRun, runner: CountingRunner) -> None:
    text = f"{run.length} {run.unit}s"
    if run.unit == "epoch":
        text += f" of {run.batches} iterations" + ("" if run.batches_known else " (assumed: the data is not given)")
    run.lines.append(text)
    run.evidence["loop"] = {
        "type": type(runner.train_loop).__name__,
        "unit": run.unit,
        "length": run.length,
        "batches_in_epoch": run.batches,
        "batches_known": run.batches_known,
    }


def _drive(run: DryRun, runner: CountingRunner) -> None:
    hooks = runner.register_kinds((CheckpointHook, LoggerHook))
    for _, hook in hooks:
        # Written where this check may, whatever storage the config names, and nothing is published.
        hook.out_dir = hook.file_client_args = None
        hook.backend_args = hook.published_keys = None
    runner.idle_model.steps_left = _MOST_STEPS
    loop = runner.train_loop
    try:
        if isinstance(loop, IterBasedTrainLoop):
            runner.idle_model.stops = _stops(runner, [hook for _, hook in hooks], run.length)
        runner.call_hook("before_run")
        loop.run()
    except TooLongError:
        run.lines.append("too long to be gone through: when validations, checkpoints and log lines fall was not seen")
        return
    except Exception as error:
        keys = {id(hook): key for key, hook in hooks}
        key = keys.get(id(runner.calling), "train_cfg")
        if isinstance(error, ZeroDivisionError) and runner.calling is None:
            key = "train_cfg.val_interval"
        at = f"{type(loop).__name__} fails at {run.unit} {max(runner.moment, 1)}"
        run.findings.append(_failed(error, key, at))
        return
    check_validations(run, runner)
    for key, hook in hooks:
        if isinstance(hook, CheckpointHook):
            check_checkpoints(run, runner, key, hook)
        else:
            check_log(run, runner, key)


def _failed(error: Exception, key: str, what: str) -> Finding:
    return Finding(LOOP_FAILS, f"{what}: {described(error)}", key)


def _stops(runner: CountingRunner, hooks: Sequence[Any], length: int) -> Iterator[int] | None:
    """The iterations in which something can fall, rising, if all that decides it is mmengine's own; else None.

    mmengine compares the number of iterations done with multiples of intervals: nothing happens between them.
    """
    loop = runner.train_loop
    is_mmengines = runner.loop_runs_as_mmengines and all(
        getattr(type(hook), "after_train_iter", None) in (CheckpointHook.after_train_iter, LoggerHook.after_train_iter)
        for hook in hooks
    )
    # A loop divides by its interval, whatever the sign; a hook takes one that is not positive for never.
    intervals = [loop.val_interval, *loop.dynamic_intervals]
    steps = [(0, abs(interval) if isinstance(interval, int) else interval) for interval in intervals]
    steps += [(getattr(hook, "save_begin", 0), hook.interval) for hook in hooks]
    if not is_mmengines or not all(isinstance(number, int) for step in steps for number in step):
        return None
    if sum(length // interval for _, interval in steps if interval > 0) > _MOST_STEPS:
        raise TooLongError
    stops = {1, length}
    for begin, interval in steps:
        if interval > 0:
            stops.update(range(begin % interval or interval, length, interval))
    for moment in (loop.val_begin, len(loop.dataloader), *loop.dynamic_milestones):
        stops.update(stop for stop in (moment, moment + 1) if isinstance(stop, int) and 0 < stop < length)
    return iter(sorted(stops))
