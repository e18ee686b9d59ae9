"""The clock of a run: its loop, learning rate, checkpoints, log and loss weights, gone through without training."""

from __future__ import annotations

import functools
from typing import Any

from mmengine.registry import init_default_scope
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.clock.dry_run import CountingRunner, DryRun
from provecfg.proof.clock.events import dry_run
from provecfg.proof.clock.lr_checks import check_schedule
from provecfg.proof.clock.lr_shape import TimeAxis, describe, sampled
from provecfg.proof.clock.optimizer_groups import build_groups
from provecfg.proof.clock.problems import OPTIMIZER_FAILS
from provecfg.proof.clock.scheduler_steps import SchedulerError
from provecfg.proof.clock.schedulers import MOST_STEPS, OptimizerSchedule, scheduler_alone, step_schedulers
from provecfg.proof.clock.weight_curves import weight_curves
from provecfg.proof.exceptions import first_line
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed

NAME = "clock"


def check(subject: Subject, built: Built) -> Section:
    """Go through the run of a config: what falls when, and what the rates and loss weights are.

    Args:
        subject: The config.
        built: What was built of it. Without a model, nothing that needs one is judged.
    """
    if subject.config.get("train_cfg") is None:
        return Section(NAME, not_judged="the config does not train: it has no train_cfg")
    with nothing_printed():
        init_default_scope(subject.config.get("default_scope") or "mmengine")
        run = dry_run(subject)
        if run.runner is not None and run.length > 0:
            _step(run, run.runner, built.model)
    if run.runner is None and not run.findings:
        return Section(NAME, not_judged="train_cfg is no dict")
    return Section(NAME, tuple(run.lines), run.evidence, tuple(run.findings))


def _step(run: DryRun, runner: CountingRunner, model: nn.Module | None) -> None:
    """The optimizer's groups, its schedulers and the loss weights over the run."""
    groups = build_groups(runner, model)
    run.lines += groups.lines
    run.evidence["optimizers"] = groups.evidence
    run.findings += groups.findings
    batches = run.batches if run.unit == "epoch" else None
    iterations = run.length * (batches or 1)
    if groups.wrapper is not None and not groups.has_no_rate:
        _step_schedulers(run, runner, batches, iterations)
    weights = weight_curves(runner, model, iterations)
    run.lines += weights.lines
    run.findings += weights.findings
    if weights.evidence:
        run.evidence["loss_weights"] = weights.evidence


def _step_schedulers(run: DryRun, runner: CountingRunner, batches: int | None, iterations: int) -> None:
    if iterations > MOST_STEPS:
        run.lines.append(f"learning rate: not stepped through {iterations} iterations")
        return
    declared = runner.cfg.get("param_scheduler")
    try:
        runner.check_schedulers(declared)
    except Exception as error:
        run.findings.append(Finding(OPTIMIZER_FAILS, first_line(error), "param_scheduler"))
        return
    if _needs_length(run, declared):
        run.lines.append("learning rate: not judged, its schedulers need the length of an epoch: give the data's root")
        return
    try:
        schedules = step_schedulers(runner, run.length, batches)
        for schedule in schedules:
            axis = TimeAxis(run.unit, schedule.points_in_epoch)
            run.lines += _schedule_lines(schedule, axis)
            run.evidence.setdefault("curves", []).extend(
                {"optimizer": schedule.name, **sampled(curve)} for curve in schedule.curves
            )
            run.findings += check_schedule(schedule, axis, functools.partial(scheduler_alone, runner))
    except SchedulerError as error:
        run.findings.append(Finding(OPTIMIZER_FAILS, str(error), error.key))


def _needs_length(run: DryRun, declared: Any) -> bool:
    """Whether a scheduler counts what the loop does not, and the length of an epoch, which decides, is not known.

    One that converts epochs to iterations does not, in a loop by epochs: whatever the length, both end together.
    """
    if run.batches_known:
        return False
    several = isinstance(declared, dict) and "type" not in declared
    listed = list(declared.values()) if several else [declared] if isinstance(declared, dict) else list(declared or ())
    schedulers = [part for item in listed for part in (item if isinstance(item, (list, tuple)) else [item])]
    for scheduler in schedulers:
        if not isinstance(scheduler, dict):
            continue
        by_epoch, converts = scheduler.get("by_epoch", True), scheduler.get("convert_to_iter_based", False)
        if run.unit == "epoch" and not by_epoch and scheduler.get("end") is not None:
            return True
        if run.unit == "iteration" and converts:
            return True
    return False


def _schedule_lines(schedule: OptimizerSchedule, axis: TimeAxis) -> list[str]:
    lines = []
    for curve in schedule.curves:
        of = f" of {curve.share:.0%} of the parameters" if curve.share < 1 else ""
        lines.append(describe(curve, axis) + of)
    for scheduler in schedule.schedulers:
        if scheduler.steps is None:
            lines.append(f"{scheduler.kind} acts on metrics, which are not known here")
    return lines
