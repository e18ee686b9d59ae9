"""When validations, checkpoints and log lines fall: the real loop, gone through with the real hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from provecfg.proof.problems.clock import (
    DATA_STARTS_ANEW,
    END_NOT_SAVED,
    LOG_LOST,
    LOOP_FAILS,
    NEVER_ENDS,
    NOT_SAVED,
    NOT_VALIDATED,
    NOTHING_TRAINED,
)
from provecfg.proof.samplers import batches_in, is_endless
from provecfg.proof.stepped_runner import UNKNOWN_LENGTH, Batches, SteppedRunner, TooLongError
from provecfg.proof.subject import Subject
from provecfg.training.findings import Finding

ASSUMED_BATCHES = 100
"""Batches in an epoch where the data is not given."""
_MOST_STEPS = 300_000
_ONLY_AT_THE_END = 100  # an interval so many times the run's length is a way to say "at the end only"


@dataclass(slots=True)
class Run:
    """A run's loop and what falls when; counts are of iterations, or of epochs where the loop counts epochs.

    Args:
        runner: With its loop built, or None where it cannot be.
        unit: `iteration` or `epoch`.
        length: Of the run; 0 where it is not known.
        batches: In an epoch: known from the data, assumed, or None where the loop has no epochs.
        batches_known: Whether `batches` comes from the data.
        lines, evidence, findings: As in `Section`.
    """

    runner: SteppedRunner | None = None
    unit: str = "iteration"
    length: int = 0
    batches: int | None = None
    batches_known: bool = False
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def go_through(subject: Subject) -> Run:
    """Build the loop of the config, and let it run with its hooks and nothing to train."""
    config, run = subject.config, Run()
    _judge_validation_sampler(config, run)
    known = batches_in(subject, "train_dataloader")
    endless = is_endless(config.get("train_dataloader") or {})
    if not isinstance(config.get("train_cfg"), dict):
        return run
    runner = SteppedRunner(
        config,
        Batches(known or ASSUMED_BATCHES, endless=bool(endless)),
        subject.work_dir,
        validates=all(config.get(f"val_{part}") is not None for part in ("cfg", "dataloader", "evaluator")),
    )
    try:
        loop = runner.train_loop
    except Exception as error:
        run.findings.append(_failed(error, "train_cfg", "the loop cannot be built"))
        return run
    run.runner, run.batches, run.batches_known = runner, known, known is not None
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    if by_epoch:
        run.unit, run.length = "epoch", loop.max_epochs
        run.batches = known or ASSUMED_BATCHES
        if run.length * run.batches > _MOST_STEPS:
            run.batches, run.batches_known = max(1, _MOST_STEPS // run.length), False
        loop.dataloader = Batches(run.batches, endless=False)
        loop._max_iters = run.length * run.batches
    else:
        run.length = loop.max_iters
        if isinstance(loop, IterBasedTrainLoop):
            runner._train_dataloader = loop.dataloader = Batches(known or UNKNOWN_LENGTH, endless=True)
            type(loop.dataloader_iterator).__init__(loop.dataloader_iterator, loop.dataloader)
    if run.length < 1:
        name = "max_epochs" if by_epoch else "max_iters"
        run.findings.append(
            Finding(NOTHING_TRAINED, f"the run has {run.length} {run.unit}s", f"train_cfg.{name}", "give 1 or more")
        )
        return run
    _say_length(run)
    if by_epoch and endless:
        run.findings.append(_never_ends("train_dataloader", f"{type(loop).__name__} waits for the end of an epoch"))
        return run
    if isinstance(loop, IterBasedTrainLoop) and endless is False:
        passes = f", {-(-run.length // known)} times in this run" if known else ""
        run.findings.append(
            Finding(
                DATA_STARTS_ANEW,
                f"{_sampler_type(config, 'train_dataloader')} ends after each pass over the data{passes}, and "
                f"{type(loop).__name__} starts it anew",
                "train_dataloader.sampler",
                "InfiniteSampler never ends",
            )
        )
    _drive(run)
    return run


def _judge_validation_sampler(config: Any, run: Run) -> None:
    loader = config.get("val_dataloader")
    if isinstance(loader, dict) and is_endless(loader):
        run.findings.append(_never_ends("val_dataloader", "a validation waits for the end of the data"))


def _never_ends(key: str, waiting: str) -> Finding:
    return Finding(NEVER_ENDS, f"the sampler never ends, and {waiting}", f"{key}.sampler", "use DefaultSampler")


def _sampler_type(config: Any, key: str) -> str:
    cls = config[key]["sampler"]["type"]
    return cls if isinstance(cls, str) else str(cls.__name__)


def _say_length(run: Run) -> None:
    text = f"{run.length} {run.unit}s"
    if run.unit == "epoch":
        text += f" of {run.batches} iterations" + ("" if run.batches_known else " (assumed: the data is not given)")
    run.lines.append(text)
    run.evidence["loop"] = {
        "type": type(run.runner.train_loop).__name__ if run.runner else None,
        "unit": run.unit,
        "length": run.length,
        "batches_in_epoch": run.batches,
        "batches_known": run.batches_known,
    }


def _drive(run: Run) -> None:
    runner = run.runner
    assert runner is not None  # the loop was built
    hooks = runner.register_kinds((CheckpointHook, LoggerHook))
    for _, hook in hooks:
        # Written where this check may, whatever storage the config names, and nothing is published.
        hook.out_dir = hook.file_client_args = None
        hook.backend_args = hook.published_keys = None
    runner.model.steps_left = _MOST_STEPS
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        runner.model.stops = _stops(loop, [hook for _, hook in hooks], run.length)
    try:
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
        at = f"{type(loop).__name__} fails at {run.unit} {runner.moment}"
        run.findings.append(_failed(error, key, at))
        return
    _judge_validations(run)
    for key, hook in hooks:
        if isinstance(hook, CheckpointHook):
            _judge_checkpoints(run, key, hook)
        else:
            _judge_log(run, key)


def _failed(error: Exception, key: str, what: str) -> Finding:
    said = (str(error).splitlines() or [""])[0]
    return Finding(LOOP_FAILS, f"{what}: {type(error).__name__}: {said}", key)


def _stops(loop: Any, hooks: Sequence[Any], length: int) -> Iterator[int] | None:
    """The iterations in which something can fall, rising, if all that decides it is mmengine's own; else None.

    mmengine compares the number of iterations done with multiples of intervals: nothing happens between them.
    """
    own = all(
        getattr(type(loop), name) is getattr(IterBasedTrainLoop, name)
        for name in ("run", "run_iter", "_decide_current_val_interval")
    ) and all(
        getattr(type(hook), "after_train_iter", None) in (CheckpointHook.after_train_iter, LoggerHook.after_train_iter)
        for hook in hooks
    )
    steps = [(0, loop.val_interval), *((0, interval) for interval in loop.dynamic_intervals)]
    steps += [(getattr(hook, "save_begin", 0), hook.interval) for hook in hooks]
    if not own or not all(isinstance(number, int) for step in steps for number in step):
        return None
    stops = {1, length}
    for begin, interval in steps:
        if interval > 0:
            stops.update(range(begin % interval or interval, length, interval))
    for moment in (loop.val_begin, len(loop.dataloader), *loop.dynamic_milestones):
        stops.update(stop for stop in (moment, moment + 1) if isinstance(stop, int) and 0 < stop < length)
    return iter(sorted(stops))


def _judge_validations(run: Run) -> None:
    runner, loop = run.runner, run.runner.train_loop
    validation = runner.val_loop
    if validation is None:
        run.lines.append("no validation is declared")
        return
    moments, interval = validation.moments, (runner.cfg.train_cfg.get("val_interval"))
    run.evidence["validations"] = moments
    run.lines.append(f"validates {_times(moments)}")
    begin = loop.val_begin
    if not moments or (moments == [run.length] and begin > run.length):
        key = "val_begin" if begin > run.length else "val_interval"
        run.findings.append(
            Finding(
                NOT_VALIDATED,
                f"validations are declared, and none falls within the {run.length} {run.unit}s",
                f"train_cfg.{key}",
                f"{key} is {begin if key == 'val_begin' else interval}",
            )
        )
    elif moments == [run.length] and isinstance(interval, int) and interval > run.length + 1:
        # Length + 1 is how mmdet's configs say "no validation on the way".
        run.findings.append(
            Finding(
                NOT_VALIDATED,
                f"val_interval is {interval} and the run has {run.length} {run.unit}s: it is validated once, when it "
                "is over (by mmengine before 0.10.8, never)",
                "train_cfg.val_interval",
                f"set val_interval to {max(run.length // 10, 1)}, say",
            )
        )


def _judge_checkpoints(run: Run, key: str, hook: CheckpointHook) -> None:
    unit = "epoch" if hook.by_epoch else "iteration"
    counted = "epoch" if unit == run.unit == "epoch" else "iter"
    moments = [meta[counted] for meta in run.runner.saved.get(id(hook), ())]
    run.evidence.setdefault("checkpoints", {})[key] = moments
    kept = f", the last {hook.max_keep_ckpts} are kept" if 0 < hook.max_keep_ckpts < len(moments) else ""
    in_unit = f" (counted in {unit}s)" if run.unit == "epoch" and unit != "epoch" else ""
    run.lines.append(f"saves checkpoints {_times(moments)}{in_unit}{kept}")
    if key == "default_hooks":  # mmengine's own default, which nobody wrote
        return
    on_the_way = [moment for moment in moments if (run.unit, unit) == ("epoch", "iteration") or moment < run.length]
    declared = hook.interval > 0 and hook.interval < _ONLY_AT_THE_END * run.length
    if unit == "epoch" and run.unit == "iteration" and declared and not on_the_way:
        run.findings.append(
            Finding(
                NOT_SAVED,
                f"{type(hook).__name__} counts epochs, of which this loop has one: "
                + (
                    f"its only checkpoint comes at the end, after {run.length} iterations"
                    if moments
                    else "it saves none"
                ),
                f"{key}.by_epoch",
                "set by_epoch=False",
            )
        )
    elif unit != run.unit:
        return
    elif declared and not on_the_way and hook.interval > run.length:
        what = "the only checkpoint comes at the end" if moments else "no checkpoint is written"
        run.findings.append(
            Finding(
                NOT_SAVED,
                f"{what}: interval is {hook.interval}, and the run has {run.length} {run.unit}s",
                f"{key}.interval",
                f"set interval to {max(run.length // 10, 1)}, say",
            )
        )
    elif moments and moments[-1] < run.length:
        run.findings.append(
            Finding(
                END_NOT_SAVED,
                f"the last checkpoint comes after {moments[-1]} of {run.length} {run.unit}s: what is trained after it "
                "is lost",
                f"{key}.save_last",
                "leave save_last on",
            )
        )


def _judge_log(run: Run, key: str) -> None:
    runner = run.runner
    moments, validation = runner.log_processor.moments, runner.val_loop
    if run.unit == "iteration" or run.batches_known:
        run.evidence["log_lines"] = len(moments)
        every = f"every {moments[1] - moments[0]} iterations" if len(moments) > 1 else _times(moments)
        run.lines.append(f"logs {every}")
        if not moments and key != "default_hooks":
            run.findings.append(
                Finding(
                    LOG_LOST,
                    f"no line of training is logged in {run.length} {run.unit}s",
                    f"{key}.interval",
                    "lower the interval",
                )
            )
    drawn = validation.drawn_at if validation is not None else []
    if len(drawn) > 1 and len(set(drawn)) == 1 and run.unit == "iteration":
        declared = runner.cfg.get("default_hooks", {}).get("logger") or {}
        if declared.get("log_metric_by_epoch") is True:
            run.findings.append(
                Finding(
                    LOG_LOST,
                    f"the metrics of all {len(drawn)} validations are logged at step {drawn[0]}",
                    f"{key}.log_metric_by_epoch",
                    "set log_metric_by_epoch=False",
                )
            )
        else:
            run.lines.append(f"the metrics of all validations are drawn at step {drawn[0]}")
    if run.unit == "iteration" and (runner.cfg.get("log_processor") or {}).get("by_epoch") is True:
        run.findings.append(
            Finding(
                LOG_LOST,
                "the log counts epochs, of which this loop has one",
                "log_processor.by_epoch",
                "set by_epoch=False",
            )
        )


def _times(moments: Sequence[int]) -> str:
    if not moments:
        return "never"
    shown = [str(moment) for moment in moments]
    if len(shown) > 4:
        shown = [*shown[:2], "...", shown[-1]]
    times = "once" if len(moments) == 1 else f"{len(moments)} times"
    return f"{times}: {', '.join(shown)}"
