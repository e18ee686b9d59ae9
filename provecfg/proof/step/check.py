"""One training step on a synthetic batch: the total loss taken apart, and what its terms move."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.image_shape import Size
from provecfg.proof.section import Section
from provecfg.proof.step.batch import BatchPlan, make_batch, plan_batch
from provecfg.proof.step.config_paths import key_of_module, module_at
from provecfg.proof.step.declared_losses import DeclaredLoss, declared_losses
from provecfg.proof.step.equation import Equation, check_equation, equation_of
from provecfg.proof.step.focal_on_cpu import focal_as_on_gpu
from provecfg.proof.step.gradients import Gradients, check_gradients, gradients_of, grouped, size_of
from provecfg.proof.step.head_checks import check_heads, too_few_classes
from provecfg.proof.step.loss_checks import check_losses
from provecfg.proof.step.problems import NOT_FINITE, STEP_FAILS, VOID_IMAGE
from provecfg.proof.step.training_step import StepFailure, TrainingStep, run_step
from provecfg.proof.subject import Subject, nothing_printed

_POINTS = 1024
"""Points of a mask that Mask2Former's losses look at, in place of some 12000 for a whole crop."""

_USUAL_CROP: Size = (512, 512)
"""(height, width) in pixels, where it depends on the data."""

_SILENT_GAIN = 0.1
"""In place of a norm's weights that are all 0, as `zero_init_residual` makes them."""


NAME, GRADIENTS = "equation", "gradients"


def check(subject: Subject, built: Built) -> tuple[Section, Section]:
    """Train one step, and compare what is optimised with what the config declares: "equation" and "gradients"."""
    model = built.model
    if model is None:
        reason = "the model cannot be built"
        return Section(NAME, not_judged=reason), Section(GRADIENTS, not_judged=reason)
    with nothing_printed(), focal_as_on_gpu(), _as_trained(model):
        return _StepCheck(subject, model, built).sections()


class _StepCheck:
    """The steps of one config, and what they showed."""

    def __init__(self, subject: Subject, model: nn.Module, built: Built) -> None:
        self.config = subject.config
        self.model = model
        self.built = built
        self.device = subject.device
        self.losses = declared_losses(self.config, model)
        self.plan = self.declared_plan = plan_batch(self.config, model, built)
        self.findings: list[Finding] = []
        self.notes: list[str] = []

    def sections(self) -> tuple[Section, Section]:
        with _weights_of_first_iteration(self.losses):
            step = self._step()
            if not isinstance(step, TrainingStep):
                gradients = Section(GRADIENTS, not_judged="there is no training step to differentiate")
                return Section(NAME, tuple(self.notes), {}, tuple(self.findings), not_judged=step), gradients
            equation = equation_of(step, self.losses)
            self.findings += check_equation(equation)
            self.findings += self._of_one_image()
            images = self.built.images
            padded = images.padded_share if images is not None else 0.0
            self.findings += check_losses(self.model, step, self.losses, padded_share=padded)
            crop = self.built.training_size or _USUAL_CROP
            self.findings += check_heads(self.config, self.model, step, self.losses, self.declared_plan, crop)
            return self._equation_section(equation), self._gradient_section(step, equation)

    def _run(self, plan: BatchPlan, *, with_ignored_image: bool) -> TrainingStep | StepFailure:
        batch = make_batch(plan, self.built.transforms, with_ignored_image=with_ignored_image)
        return run_step(self.model, batch, self.losses, self.config)

    def _step(self) -> TrainingStep | str | None:
        """The step that is judged; or why there is none, or None where the findings say it."""
        try:
            first = self._run(self.plan, with_ignored_image=True)
        except Exception as error:
            return f"no batch can be made for this config: {type(error).__name__}: {error}"
        if isinstance(first, TrainingStep) and _is_finite(first):
            self.notes.append(f"batch: {self._described()}, one image all ignored")
            return first
        second = self._run(self.plan, with_ignored_image=False)
        if isinstance(second, StepFailure):
            second = self._after_failure(second)
        if isinstance(second, StepFailure):
            if second.needs_what_is_missing:
                return f"{second.message} (at {second.key})"
            return None
        if _is_finite(second) and not self.findings:
            self.findings.append(_of_ignored_image(first))
        self.notes.append(f"batch: {self._described()}")
        return second

    def _described(self) -> str:
        missing = "" if self.plan.missing is None else f", none of class {self.plan.missing}"
        return (
            f"{len(self.plan.sizes)} images of {self.plan.sizes[0][0]}x{self.plan.sizes[0][1]}, "
            f"{self.plan.classes} classes{missing}, ignored pixels of label {self.plan.ignore_index}"
        )

    def _after_failure(self, failure: StepFailure) -> TrainingStep | StepFailure:
        """Say why an ordinary batch fails, and go on with one that does not, if labels are the reason."""
        if failure.needs_what_is_missing:
            return failure
        fitting = min((classes for _, classes in self._heads()), default=self.plan.classes)
        if fitting < self.plan.classes:
            again = self._run(self.plan.with_classes(fitting), with_ignored_image=False)
            if isinstance(again, TrainingStep):
                for key, classes in self._heads():
                    if classes < self.plan.classes:
                        finding = too_few_classes(key, classes, self.plan, "num_classes")
                        self.findings.append(replace(finding, message=f"{finding.message}: {failure.message}"))
                self.plan = self.plan.with_classes(fitting)
                return again
        message, key = f"a training step on ordinary labels fails: {failure.message}", failure.key
        unusable = next((loss for loss in self.losses if loss.key == key and not loss.has_usable_weight), None)
        if unusable is not None:
            message, key = f"{message}; its loss_weight is {unusable.weight!r}, no number", f"{key}.loss_weight"
        self.findings.append(Finding(STEP_FAILS, message, key))
        return failure

    def _heads(self) -> Iterator[tuple[str, int]]:
        """Heads, and how many classes they tell apart."""
        for key in dict.fromkeys(loss.head_key for loss in self.losses):
            head = module_at(self.model, key)
            classes = getattr(head, "num_classes", None)
            if isinstance(classes, int):
                yield key, classes

    def _of_one_image(self) -> list[Finding]:
        """Where the config's batches are of one image, try one: batch normalisation cannot take a single value."""
        loader = self.config.get("train_dataloader") or {}
        if loader.get("batch_size", 1) != 1 or _has_sync_norms(self.config):
            return []
        failure = self._run(replace(self.plan, sizes=self.plan.sizes[:1]), with_ignored_image=False)
        if isinstance(failure, TrainingStep) or failure.needs_what_is_missing:
            return []
        return [
            Finding(
                STEP_FAILS,
                f"a training step on a batch of one image fails: {failure.message}",
                "train_dataloader.batch_size" if "batch_size" in loader else failure.key,
                hint="batch_size of 2 or more, or a norm_cfg that does not look at the batch, such as GN",
            )
        ]

    def _equation_section(self, equation: Equation) -> Section:
        lines = [
            equation.as_text(),
            f"optimised total {equation.total:.7g}, sum of weight x term {equation.declared_total:.7g}",
            *_table(equation),
            *self.notes,
        ]
        evidence = {
            "equation": equation.as_text(),
            "optimised_total": _plain(equation.total),
            "declared_total": _plain(equation.declared_total),
            "batch": {
                "sizes": [list(size) for size in self.plan.sizes],
                "classes": self.plan.classes,
                "ignore_index": self.plan.ignore_index,
                "missing_class": self.plan.missing,
            },
            "terms": [
                {
                    "head": term.loss.head,
                    "name": term.loss.name,
                    "key": term.loss.key,
                    "declared_weight": term.loss.weight if term.loss.has_usable_weight else str(term.loss.weight),
                    "is_scheduled": term.loss.is_scheduled,
                    "raw": _plain(term.raw),
                    "weighted": _plain(term.weighted),
                    "share": _plain(equation.share(term)),
                    "calls": term.calls,
                    "log_keys": sorted(set(term.log_keys)),
                }
                for term in equation.terms
            ],
        }
        return Section(NAME, tuple(lines), evidence, tuple(self.findings))

    def _gradient_section(self, step: TrainingStep, equation: Equation) -> Section:
        if not step.total.requires_grad:
            return Section(GRADIENTS, not_judged="the total depends on no parameter")
        gradients = gradients_of(self.model, step, equation.terms)
        wrapper = self.config.get("model_wrapper_cfg") or {}
        may_be_unused = bool(
            self.config.get("find_unused_parameters", False) or wrapper.get("find_unused_parameters", False)
        )
        findings = check_gradients(gradients, may_be_unused=may_be_unused)
        findings = [self._placed(finding, gradients) for finding in findings]
        lines = [*_reach_lines(gradients), _moved_line(gradients, may_be_unused)]
        step.calls.clear()
        half, outcome = self._in_half_precision()
        findings += half
        evidence = {
            "parameters": gradients.parameters,
            "moved": gradients.moved,
            "zero_on_this_batch": len(gradients.still),
            "unused": gradients.unused,
            "not_finite": gradients.not_finite,
            "bfloat16": outcome,
            "losses": [
                {
                    "key": reach.term.loss.key,
                    "moved_of_head": reach.head[0],
                    "parameters_of_head": reach.head[1],
                    "moved_elsewhere": reach.elsewhere,
                    "moves_backbone": reach.backbone,
                }
                for reach in gradients.reaches
            ],
        }
        return Section(GRADIENTS, (*lines, f"under bfloat16 autocast: {outcome}"), evidence, tuple(findings))

    def _placed(self, finding: Finding, gradients: Gradients) -> Finding:
        """The finding at the innermost part of the config that has all the parameters it is about."""
        names = gradients.unused if "take part in no loss" in finding.message else gradients.not_finite
        if finding.key != "model" or not names:
            return finding
        parts = [name.split(".") for name in names]
        shared = []
        for step in zip(*parts, strict=False):
            if len(set(step)) > 1:
                break
            shared.append(step[0])
        return replace(finding, key=key_of_module(self.config, ".".join(shared)))

    def _in_half_precision(self) -> tuple[list[Finding], str]:
        """The same step under bfloat16 autocast: what is wrong, and how it went."""
        with torch.autocast(self.device, torch.bfloat16):
            step = self._run(self.plan, with_ignored_image=False)
        if isinstance(step, StepFailure):
            if self._is_amp() and not step.needs_what_is_missing:
                outcome = f"a training step fails under bfloat16 autocast: {step.message}"
                return [Finding(STEP_FAILS, outcome, step.key)], outcome
            return [], f"not judged: {step.message}"
        named = {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        try:
            gradients = torch.autograd.grad(step.total, list(named.values()), allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:
            return [], f"not judged: {type(error).__name__}: {str(error).splitlines()[0]}"
        broken = [
            name
            for name, gradient in zip(named, gradients, strict=True)
            if gradient is not None and not math.isfinite(size_of(gradient))
        ]
        total = float(step.total.detach())
        if math.isfinite(total) and not broken:
            return [], f"total {total:.4g}, all gradients finite"
        outcome = f"total {total:.4g}, gradients of {len(broken)} parameters not finite: {grouped(broken)}"
        finding = Finding(NOT_FINITE, f"under bfloat16 autocast: {outcome}", "optim_wrapper")
        return [finding] if self._is_amp() else [], outcome

    def _is_amp(self) -> bool:
        return (self.config.get("optim_wrapper") or {}).get("type") == "AmpOptimWrapper"


def _is_finite(step: TrainingStep) -> bool:
    return bool(torch.isfinite(step.total))


def _of_ignored_image(first: TrainingStep | StepFailure) -> Finding:
    if isinstance(first, StepFailure):
        outcome, key = f"fails: {first.message}", first.key
    else:
        call = next((call for call in first.calls if not bool(torch.isfinite(call.value).all())), None)
        what = call.loss.title if call is not None else "the total"
        outcome, key = f"makes {what} no finite number", call.loss.key if call is not None else "model"
    return Finding(
        VOID_IMAGE,
        f"a batch with an image whose pixels are all ignored {outcome}; without one it does not",
        key,
        hint="make sure that every crop shows something labelled (RandomCrop's cat_max_ratio does not), or use a loss "
        "that takes such images",
    )


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(equation: Equation) -> list[str]:
    rows = [("head", "loss", "weight", "raw", "weighted", "share", "logged as")]
    for term in equation.terms:
        loss = term.loss
        if not term.calls:
            rows.append((loss.head, loss.name, str(loss.weight), "-", "-", "-", "never computed"))
            continue
        keys = list(dict.fromkeys(term.log_keys))
        logged = keys[-1] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more" if keys else "-"
        weight = f"{loss.weight:g}" if loss.has_usable_weight else repr(loss.weight)
        rows.append(
            (
                loss.head,
                loss.name,
                f"{weight} at the start" if loss.is_scheduled else weight,
                f"{term.raw:.4f}",
                f"{term.weighted:.4f}",
                f"{equation.share(term):.1%}",
                logged,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numbers = {2, 3, 4, 5}
    return [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _reach_lines(gradients: Gradients) -> list[str]:
    lines = []
    for reach in gradients.reaches:
        backbone = {True: ", and the backbone", False: ", and not the backbone", None: ""}[reach.backbone]
        elsewhere = f", {reach.elsewhere} elsewhere" if reach.elsewhere else ""
        moved, among = reach.head
        lines.append(f"{reach.term.loss.title} moves {moved} of {among} parameters of its head{elsewhere}{backbone}")
    return lines


def _moved_line(gradients: Gradients, may_be_unused: bool) -> str:
    parts = [f"{gradients.moved} of {gradients.parameters} trainable parameters are moved"]
    if gradients.still:
        parts.append(f"{len(gradients.still)} have a gradient of 0 on this batch")
    if gradients.unused:
        allowed = ", as find_unused_parameters allows" if may_be_unused else ""
        parts.append(f"{len(gradients.unused)} have no part in any loss{allowed}")
    return "; ".join(parts)


def _has_sync_norms(config: Any) -> bool:
    return "SyncBN" in repr(config.get("model"))


@contextlib.contextmanager
def _as_trained(model: nn.Module) -> Iterator[None]:
    """The model in training mode; afterwards its batch statistics, and what is changed here, are as before."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    changed: list[tuple[Any, str, Any]] = []
    for module in model.modules():
        # Checkpointing computes the same, and cannot be differentiated for a few parameters alone.
        for name, value in (("with_cp", False), ("num_points", _POINTS)):
            old = vars(module).get(name)
            if old is not None and type(old) is type(value) and (name == "with_cp" or old > value):
                changed.append((module, name, old))
                setattr(module, name, value)
    # Residual branches that start at nothing would hide that what is in them is reached.
    silent = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() == 1 and name.endswith(".weight") and not parameter.detach().any()
    ]
    for parameter in silent:
        parameter.data.fill_(_SILENT_GAIN)
    model.train()
    try:
        yield
    finally:
        for module, name, old in changed:
            setattr(module, name, old)
        for parameter in silent:
            parameter.data.zero_()
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers:
                    buffer.copy_(buffers[name])


@contextlib.contextmanager
def _weights_of_first_iteration(losses: Sequence[DeclaredLoss]) -> Iterator[None]:
    """Scheduled losses with the weight that their schedule sets before the first iteration."""
    changed = []
    for loss in losses:
        if loss.is_scheduled and loss.module is not None and hasattr(loss.module, "loss_weight"):
            changed.append((loss.module, loss.module.loss_weight))
            loss.module.loss_weight = loss.weight
    try:
        yield
    finally:
        for module, weight in changed:
            module.loss_weight = weight
