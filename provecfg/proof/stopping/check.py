"""Early stopping and the best checkpoint: the real hooks under simulated histories of the real evaluator's metrics."""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.registry import init_default_scope

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.dry_runner import validates
from provecfg.proof.exceptions import described
from provecfg.proof.section import Section
from provecfg.proof.stopping.evaluator_output import EvaluatorOutput, evaluator_output
from provecfg.proof.stopping.problems import (
    BEST_IS_FIRST,
    BEST_UNVALIDATED,
    EVALUATOR_FAILS,
    MONITOR_MISSING,
    NO_VALIDATION,
    THRESHOLD_MET,
    WRONG_RULE,
)
from provecfg.proof.stopping.simulations import EarlyStoppingSimulation, failure
from provecfg.proof.stopping.simulator import Simulator, UnknownLoopError
from provecfg.proof.stopping.stopping_hooks import DeclaredHook, stopping_hooks
from provecfg.proof.stopping.stopping_settings import check_best, check_stopping
from provecfg.proof.subject import Subject, nothing_printed

NAME = "early stopping"


def check(subject: Subject, built: Built) -> Section:
    """Simulate runs under the config's early-stopping and checkpoint hooks, their metrics scripted as its evaluator's.

    Args:
        subject: The config.
        built: Not needed: neither the evaluator nor the hooks look at a model.
    """
    config = subject.config
    if not isinstance(config.get("train_cfg"), Mapping):
        return Section(NAME, not_judged="the config does not train")
    with nothing_printed():
        init_default_scope(config.get("default_scope") or "mmseg")
    stopping = _StoppingCheck(subject)
    if validates(config):
        stopping.check_evaluator()
    stopping.build_hooks()
    folder = Path(tempfile.mkdtemp(prefix="early_stopping_", dir=subject.work_dir))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            simulator = Simulator(config, folder)
    except UnknownLoopError as error:
        return stopping.section(not_judged=str(error))
    except Exception as error:
        return stopping.section(not_judged=f"the training loop fails by itself: {described(error)}")
    stopping.simulate(simulator)
    return stopping.section()


_IDLE = (MONITOR_MISSING, WRONG_RULE, THRESHOLD_MET)
"""Found in a hook, these leave nothing for the histories to show: it never stops, or at once."""


@dataclass(slots=True)
class _StoppingCheck:
    """What has been seen so far of one config."""

    subject: Subject
    output: EvaluatorOutput = field(default_factory=lambda: EvaluatorOutput(not_judged="nothing is validated"))
    stoppers: list[tuple[DeclaredHook, EarlyStoppingHook]] = field(default_factory=list)
    savers: list[tuple[DeclaredHook, CheckpointHook]] = field(default_factory=list)
    keeps_best: bool = False
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def section(self, not_judged: str | None = None) -> Section:
        unique = {(finding.problem.code, finding.key): finding for finding in reversed(self.findings)}
        kept = [finding for finding in self.findings if unique[finding.problem.code, finding.key] is finding]
        return Section(NAME, tuple(self.lines), self.evidence, tuple(kept), not_judged)

    def check_evaluator(self) -> None:
        self.output = output = evaluator_output(self.subject.config, self.subject.work_dir)
        if output.failure is not None:
            self.findings.append(
                Finding(
                    EVALUATOR_FAILS,
                    f"the evaluator fails, on predictions made for it as it would on the model's: {output.failure}",
                    "val_evaluator",
                )
            )
            self.lines.append("the evaluator fails")
        elif output.not_judged is not None:
            self.lines.append(f"the evaluator is not judged: {output.not_judged}")
            self.evidence["evaluator_not_judged"] = output.not_judged
        else:
            self.evidence["metrics"] = {
                name: {"perfect": _finite(perfect), "poor": _finite(output.poor.get(name))}
                for name, perfect in output.perfect.items()
            }
            shown = ", ".join(
                f"{name} ({_number(output.poor.get(name))} to {_number(perfect)})"
                for name, perfect in output.perfect.items()
            )
            self.lines.append(f"the evaluator returns {shown}, poor to perfect" if shown else "the evaluator is silent")

    def build_hooks(self) -> None:
        for declared in stopping_hooks(self.subject.config):
            try:
                hook = declared.make()
            except Exception as error:
                self.findings.append(failure(declared, None, f"{declared.cls.__name__} cannot be built", error))
                continue
            if isinstance(hook, EarlyStoppingHook):
                self.stoppers.append((declared, hook))
                self.findings += check_stopping(declared, hook, self.output)
            elif isinstance(hook, CheckpointHook):
                wrong = list(check_best(declared, hook, self.output))
                self.findings += wrong
                self.keeps_best |= bool(declared.best)
                if any(finding.problem is not BEST_IS_FIRST for finding in wrong):
                    # It fails at the first validation, or keeps the worst: that is said, and hides what else there is.
                    declared = dataclasses.replace(declared, without=("save_best", "rule"))
                self.savers.append((declared, hook))

    def simulate(self, simulator: Simulator) -> None:
        validations = list(simulator.validations)
        self.evidence |= {"unit": simulator.unit, "length": simulator.length, "validations": validations}
        if not self.stoppers:
            self.lines.append("no early stopping is declared")
        if simulator.unit == "epoch" and any(not hook.by_epoch for _, hook in self.savers):
            self.lines.append("checkpoints are counted in iterations, of which each epoch is given one here")
        if not validations:
            self._without_validation()
            return
        for declared, hook in self.stoppers:
            simulation = self._simulation(simulator, (declared, hook))
            if len(self.stoppers) > 1:
                self.lines.append(f"{declared.key}:")
            if any(finding.problem in _IDLE and finding.key.startswith(declared.key) for finding in self.findings):
                simulation.tell_improving()
            else:
                simulation.check()
            self._take(simulation, declared.key)
        if not self.stoppers:
            simulation = self._simulation(simulator, None)
            simulation.check()
            self._take(simulation, "default_hooks")

    def _simulation(
        self, simulator: Simulator, stopper: tuple[DeclaredHook, EarlyStoppingHook] | None
    ) -> EarlyStoppingSimulation:
        resumes = bool(self.subject.config.get("resume"))
        return EarlyStoppingSimulation(
            simulator, self.output, self.savers, stopper, keeps_best=self.keeps_best, resumes=resumes
        )

    def _take(self, simulation: EarlyStoppingSimulation, key: str) -> None:
        self.lines += simulation.lines
        self.findings += simulation.findings
        if simulation.evidence:
            self.evidence.setdefault("histories", {})[key] = simulation.evidence

    def _without_validation(self) -> None:
        declared = validates(self.subject.config)
        why = "none falls within the run" if declared else "none is declared"
        self.lines.append(f"no validation: {why}")
        for hook, _ in self.stoppers:
            self.findings.append(
                Finding(NO_VALIDATION, f"early stopping waits for validations, and {why}", hook.key, "validate")
            )
        for hook, _ in self.savers:
            for key, metric in hook.best:
                self.findings.append(
                    Finding(BEST_UNVALIDATED, f"no checkpoint is the best by {metric!r}: {why}", key, "validate")
                )


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return round(number, 6) if isfinite(number) else None


def _number(value: Any) -> str:
    number = _finite(value)
    return "none" if number is None else f"{number:.4g}"
