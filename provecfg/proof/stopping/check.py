"""Early stopping and the best checkpoint: the real hooks live through histories of the real evaluator's metrics."""

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
from provecfg.proof.section import Section
from provecfg.proof.stopping.dry_runner import Stage, UnknownLoopError, validates
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
from provecfg.proof.stopping.simulations import Lives, failure
from provecfg.proof.stopping.stopping_hooks import DeclaredHook, declared_hooks
from provecfg.proof.stopping.stopping_settings import judge_best, judge_stopping
from provecfg.proof.subject import Subject, nothing_printed

NAME = "early stopping"


def prove(subject: Subject, built: Built | None) -> Section:
    """Let the config's early stopping and best checkpoint live through histories of its evaluator's metrics.

    Args:
        subject: The config.
        built: Not needed: neither the evaluator nor the hooks look at a model.
    """
    config = subject.config
    if not isinstance(config.get("train_cfg"), Mapping):
        return Section(NAME, not_judged="the config does not train")
    with nothing_printed():
        init_default_scope(config.get("default_scope") or "mmseg")
    proof = _Proof(subject)
    if validates(config):
        proof.see_evaluator()
    proof.build_hooks()
    folder = Path(tempfile.mkdtemp(prefix="early_stopping_", dir=subject.work_dir))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stage = Stage(config, folder)
    except UnknownLoopError as error:
        return proof.section(not_judged=str(error))
    except Exception as error:
        first = str(error).partition("\n")[0]
        return proof.section(not_judged=f"the training loop fails by itself: {type(error).__name__}: {first}")
    proof.live(stage)
    return proof.section()


_IDLE = (MONITOR_MISSING, WRONG_RULE, THRESHOLD_MET)
"""Found in a hook, these leave nothing for the histories to show: it never stops, or at once."""


@dataclass(slots=True)
class _Proof:
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

    def see_evaluator(self) -> None:
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
        for declared in declared_hooks(self.subject.config):
            try:
                hook = declared.make()
            except Exception as error:
                self.findings.append(failure(declared, None, f"{declared.cls.__name__} cannot be built", error))
                continue
            if isinstance(hook, EarlyStoppingHook):
                self.stoppers.append((declared, hook))
                self.findings += judge_stopping(declared, hook, self.output)
            elif isinstance(hook, CheckpointHook):
                found = list(judge_best(declared, hook, self.output))
                self.findings += found
                self.keeps_best |= bool(declared.best)
                if any(finding.problem is not BEST_IS_FIRST for finding in found):
                    # It fails at the first validation, or keeps the worst: that is said, and hides what else there is.
                    declared = dataclasses.replace(declared, without=("save_best", "rule"))
                self.savers.append((declared, hook))

    def live(self, stage: Stage) -> None:
        count = len(stage.validations)
        self.evidence |= {"unit": stage.unit, "length": stage.length, "validations": list(stage.validations)}
        if not self.stoppers:
            self.lines.append("no early stopping is declared")
        if stage.unit == "epoch" and any(not hook.by_epoch for _, hook in self.savers):
            self.lines.append("checkpoints are counted in iterations, of which each epoch is given one here")
        if count == 0:
            self._without_validation()
            return
        for declared, hook in self.stoppers:
            lives = self._lives(stage, (declared, hook))
            if len(self.stoppers) > 1:
                self.lines.append(f"{declared.key}:")
            if any(finding.problem in _IDLE and finding.key.startswith(declared.key) for finding in self.findings):
                lives.only_look()
            else:
                lives.judge()
            self._take(lives, declared.key)
        if not self.stoppers:
            lives = self._lives(stage, None)
            lives.judge()
            self._take(lives, "default_hooks")

    def _lives(self, stage: Stage, stopper: tuple[DeclaredHook, EarlyStoppingHook] | None) -> Lives:
        resumes = bool(self.subject.config.get("resume"))
        return Lives(stage, self.output, self.savers, stopper, keeps_best=self.keeps_best, resumes=resumes)

    def _take(self, lives: Lives, key: str) -> None:
        self.lines += lives.lines
        self.findings += lives.findings
        if lives.evidence:
            self.evidence.setdefault("histories", {})[key] = lives.evidence

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
