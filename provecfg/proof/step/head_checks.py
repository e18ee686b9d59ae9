"""Whether heads fit the labels that they are trained on and the predictions that they make."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmseg.registry import METRICS
from torch import Tensor, nn

from provecfg.findings import Finding
from provecfg.proof.classes import class_of
from provecfg.proof.image_shape import Size
from provecfg.proof.step.batch import BatchPlan, main_head
from provecfg.proof.step.config_paths import module_at, value_at
from provecfg.proof.step.declared_losses import DeclaredLoss
from provecfg.proof.step.loss_probes import tried
from provecfg.proof.step.problems import CLASS_NOT_TRAINED, CLASSES_NEVER_LABELLED, NO_EFFECT, TOO_FEW_CLASSES
from provecfg.proof.step.training_step import LossCall, TrainingStep

_ALL_KEPT = 0.9
"""Share of mostly right pixels from which on a sampler of hard ones picks none."""


def check_heads(
    config: Any, model: nn.Module, step: TrainingStep, losses: Sequence[DeclaredLoss], plan: BatchPlan, crop: Size
) -> list[Finding]:
    """Compare heads with the labels of a step, with the metric and with each other, and ask for their predictions.

    Args:
        config: The whole config.
        model: Of the step.
        step: Its calls show which labels each head is given.
        losses: Of the config.
        plan: Of the step's batch.
        crop: The real (height, width) in pixels that the model is trained on.
    """
    findings: list[Finding] = []
    for head_key in dict.fromkeys(loss.head_key for loss in losses):
        head = module_at(model, head_key)
        if head is None:
            continue
        calls = [call for loss in losses if loss.head_key == head_key for call in step.calls_of(loss)]
        findings += _check_labels(head_key, head, calls, plan)
        findings += _check_sampler(head_key, head, crop)
    findings += _check_threshold(config, model)
    findings += _check_evaluated(config, model, plan)
    return findings


def _check_labels(head_key: str, head: nn.Module, calls: Sequence[LossCall], plan: BatchPlan) -> Iterator[Finding]:
    classes = getattr(head, "num_classes", None)
    seen = next((labelled for call in calls if (labelled := _labels_in(call)) is not None), None)
    if seen is None or not isinstance(classes, int):
        return
    channels, labels = seen
    labels -= {getattr(head, "ignore_index", None)}
    predicted = 2 if channels == 1 else channels
    if labels and max(labels) >= predicted:
        yield too_few_classes(head_key, predicted, plan, "out_channels" if channels != classes else "num_classes")
    elif labels and max(labels) == plan.classes - 1 and classes > plan.classes:
        whose = "the dataset" if plan.from_dataset else "the main head"
        yield Finding(
            CLASSES_NEVER_LABELLED,
            f"{head_key} tells apart {classes} classes, {whose} has {plan.classes}",
            f"{head_key}.num_classes",
            hint=f"num_classes={plan.classes}",
        )


def too_few_classes(head_key: str, predicted: int, plan: BatchPlan, setting: str) -> Finding:
    """The finding that a head is given labels that it has no output for."""
    whose = "the dataset" if plan.from_dataset else "the main head"
    return Finding(
        TOO_FEW_CLASSES,
        f"{head_key} tells apart {predicted} classes, and {whose} has {plan.classes}",
        f"{head_key}.{setting}",
        hint=f"{setting}={plan.classes}",
    )


def _labels_in(call: LossCall) -> tuple[int, set[int]] | None:
    """The number of channels and the labels of a call that was given logits and labels of pixels."""
    if len(call.args) < 2:
        return None
    logits, labels = call.args[:2]
    if not isinstance(logits, Tensor) or not isinstance(labels, Tensor) or logits.dim() != 4:
        return None
    if labels.is_floating_point() or labels.shape != (logits.shape[0], *logits.shape[2:]):
        return None
    return logits.shape[1], set(labels.unique().tolist())


def _check_sampler(head_key: str, head: nn.Module, crop: Size) -> Iterator[Finding]:
    sampler = getattr(head, "sampler", None)
    share = tried(_kept_share, sampler, crop) if hasattr(sampler, "sample") else None
    if share is not None and share > _ALL_KEPT:
        yield Finding(
            NO_EFFECT,
            f"the sampler of {head_key} keeps {share:.0%} of the pixels of a {crop[0]}x{crop[1]} crop that is mostly "
            "predicted right: it picks no hard ones",
            f"{head_key}.sampler.min_kept",
            hint=f"min_kept far below the {crop[0] * crop[1]} pixels of a crop, a sixteenth of them say",
        )


def _kept_share(sampler: Any, crop: Size) -> float:
    """The share of pixels that a sampler keeps where 19 of 20 are predicted right, some more surely than others."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (1, 1, *crop), generator=generator)
    sure = 3 + 3 * torch.rand(1, *crop, generator=generator)
    wrong = torch.rand(1, *crop, generator=generator) < 0.05
    of_one = sure * (labels[:, 0] * 2 - 1) * (1 - 2 * wrong.float())
    weight = sampler.sample(torch.stack([-of_one, of_one], dim=1), labels)
    return float((weight > 0).float().mean())


def _check_threshold(config: Any, model: nn.Module) -> Iterator[Finding]:
    head = main_head(model)
    channels = getattr(head, "out_channels", None)
    key = "model.decode_head"
    if isinstance(declared := value_at(config, key), (list, tuple)):
        key = f"{key}[{len(declared) - 1}]"
    threshold = (value_at(config, key) or {}).get("threshold")
    if threshold is None or not isinstance(channels, int):
        return
    if channels == 1:
        shown = tried(_predicted, model, torch.tensor([-20.0, 20.0]).reshape(1, 1, 1, 2))
        if shown is not None and len(shown) == 1:
            yield Finding(
                NO_EFFECT,
                f"with threshold {threshold}, {key} predicts class {shown.pop()} however sure it is of the other",
                f"{key}.threshold",
                hint="it is compared with a probability: a number between 0 and 1",
            )
    elif channels > 1:
        yield Finding(
            NO_EFFECT,
            f"the prediction of {key} is the largest of {channels} outputs: its threshold is never read",
            f"{key}.threshold",
            hint="out_channels=1 with a sigmoid loss, or no threshold",
        )


def _predicted(model: Any, logits: Tensor) -> set[int]:
    samples = model.postprocess_result(logits, None)
    return {int(label) for sample in samples for label in sample.pred_sem_seg.data.unique()}


def _check_evaluated(config: Any, model: nn.Module, plan: BatchPlan) -> Iterator[Finding]:
    ignored = getattr(main_head(model), "ignore_index", None)
    if not isinstance(ignored, int) or not 0 <= ignored < plan.classes:
        return
    for key, counted in _metrics(config):
        if counted != ignored:
            yield Finding(
                CLASS_NOT_TRAINED,
                f"the head ignores label {ignored}, one of the {plan.classes} classes, and the metric counts it: it "
                f"ignores {counted}",
                "model.decode_head.ignore_index",
                hint=f"{key}.ignore_index={ignored} to leave the class out of the metric, too, or a label beyond the "
                "classes in the head to learn it",
            )


def _metrics(config: Any) -> Iterator[tuple[str, Any]]:
    """Metrics of the validation that ignore a label, each with its path and that label."""
    evaluator = config.get("val_evaluator")
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    for index, metric in enumerate(metrics):
        cls = class_of(metric, METRICS) if isinstance(metric, dict) else None
        taken = inspect.signature(cls).parameters if cls is not None else {}
        if "ignore_index" in taken:
            key = f"val_evaluator[{index}]" if isinstance(evaluator, (list, tuple)) else "val_evaluator"
            yield key, metric.get("ignore_index", taken["ignore_index"].default)
