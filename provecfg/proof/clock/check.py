"""The clock of a run: its loop, learning rate, checkpoints, log and loss weights, gone through without training."""

from __future__ import annotations

from typing import Any

from mmengine.registry import init_default_scope

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.clock.dry_run import Run, SteppedRunner
from provecfg.proof.clock.events import go_through
from provecfg.proof.clock.lr_checks import judge
from provecfg.proof.clock.lr_shape import Clock, describe, sampled
from provecfg.proof.clock.optimizer_groups import build_groups
from provecfg.proof.clock.problems import OPTIMIZER_FAILS
from provecfg.proof.clock.scheduler_steps import SchedulerError, first_line
from provecfg.proof.clock.schedulers import MOST_STEPS, Stepping, alone, step_over_run
from provecfg.proof.clock.weight_curves import step_weights
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed


def prove(subject: Subject, built: Built | None) -> Section:
    """Go through the run of a config: what falls when, and what the rates and loss weights are.

    Args:
        subject: The config.
        built: What was built of it, or None where the model cannot be built: then nothing that needs it is judged.
    """
    if subject.config.get("train_cfg") is None:
        return Section("clock", not_judged="the config does not train: it has no train_cfg")
    with nothing_printed():
        init_default_scope(subject.config.get("default_scope") or "mmengine")
        run = go_through(subject)
        model = built.model if built is not None else None
        if run.runner is not None and run.length > 0:
            _step(run, run.runner, model)
    if run.runner is None and not run.findings:
        return Section("clock", not_judged="train_cfg is no dict")
    return Section("clock", tuple(run.lines), run.evidence, tuple(run.findings))


def _step(run: Run, runner: SteppedRunner, model: Any) -> None:
    """The optimizer's groups, its schedulers and the loss weights over the run."""
    groups = build_groups(runner, model)
    run.lines += groups.lines
    run.evidence["optimizers"] = groups.evidence
    run.findings += groups.findings
    batches = run.batches if run.unit == "epoch" else None
    iterations = run.length * (batches or 1)
    if groups.wrapper is not None and not groups.has_no_rate:
        _step_schedulers(run, runner, batches, iterations)
    weights = step_weights(runner, model, iterations)
    run.lines += weights.lines
    run.findings += weights.findings
    if weights.evidence:
        run.evidence["loss_weights"] = weights.evidence


def _step_schedulers(run: Run, runner: SteppedRunner, batches: int | None, iterations: int) -> None:
    if iterations > MOST_STEPS:
        run.lines.append(f"learning rate: not stepped through {iterations} iterations")
        return
    given = runner.cfg.get("param_scheduler")
    try:
        runner._check_scheduler_cfg(given)
    except Exception as error:
        run.findings.append(Finding(OPTIMIZER_FAILS, first_line(error), "param_scheduler"))
        return
    if _needs_length(run, given):
        run.lines.append("learning rate: not judged, its schedulers need the length of an epoch: give the data's root")
        return
    try:
        steppings = step_over_run(runner, run.length, batches)
        for stepping in steppings:
            clock = Clock(run.unit, stepping.points_in_epoch)
            run.lines += _said(stepping, clock)
            run.evidence.setdefault("curves", []).extend(
                {"optimizer": stepping.name, **sampled(curve)} for curve in stepping.curves
            )
            run.findings += judge(stepping, clock, lambda each, steps, base: alone(runner, each, steps, base))
    except SchedulerError as error:
        run.findings.append(Finding(OPTIMIZER_FAILS, str(error), error.key))


def _needs_length(run: Run, given: Any) -> bool:
    """Whether a scheduler counts what the loop does not, and the length of an epoch, which decides, is not known.

    One that converts epochs to iterations does not, in a loop by epochs: whatever the length, both end together.
    """
    if run.batches_known:
        return False
    several = isinstance(given, dict) and "type" not in given
    listed = list(given.values()) if several else [given] if isinstance(given, dict) else list(given or ())
    flat = [each for item in listed for each in (item if isinstance(item, (list, tuple)) else [item])]
    for each in flat:
        if not isinstance(each, dict):
            continue
        by_epoch, converts = each.get("by_epoch", True), each.get("convert_to_iter_based", False)
        if run.unit == "epoch" and not by_epoch and each.get("end") is not None:
            return True
        if run.unit == "iteration" and converts:
            return True
    return False


def _said(stepping: Stepping, clock: Clock) -> list[str]:
    lines = []
    for curve in stepping.curves:
        of = f" of {curve.share:.0%} of the parameters" if curve.share < 1 else ""
        lines.append(describe(curve, clock) + of)
    for each in stepping.schedulers:
        if each.steps is None:
            lines.append(f"{each.kind} acts on metrics, which are not known here")
    return lines
