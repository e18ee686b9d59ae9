"""Whether the losses of each head do what a loss is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from provecfg.findings import Finding
from provecfg.proof.step.config_paths import module_at
from provecfg.proof.step.declared_losses import DeclaredLoss
from provecfg.proof.step.loss_probes import (
    LossProbe,
    falls_with_ignored_share,
    grows_with_pixels,
    learns_from,
    prefers_wrong,
    probe_of,
    reads_by_softmax,
    rebuilt_with,
    tried,
    untrained_labels,
)
from provecfg.proof.step.problems import (
    CLASS_NOT_TRAINED,
    FALLS_WITH_PADDING,
    LEARNS_IGNORED,
    NO_EFFECT,
    PREFERS_WRONG,
    SUMMED,
    TWO_ACTIVATIONS,
)
from provecfg.proof.step.training_step import TrainingStep

_MUCH_PADDING = 0.5
"""Share of the smallest image beyond which an average over padding is worth a warning; mmseg's own configs reach it."""


def check_losses(
    model: nn.Module, step: TrainingStep, losses: Sequence[DeclaredLoss], *, padded_share: float
) -> list[Finding]:
    """Ask every loss that takes logits and labels of pixels what it makes of predictions whose truth is known.

    Args:
        model: Of the step.
        step: Its calls show how the heads call their losses.
        losses: Of the config.
        padded_share: Of the smallest image that the pipeline puts out.
    """
    by_head: dict[str, list[LossProbe]] = {}
    for loss in losses:
        for call in step.calls_of(loss)[:1]:
            probe = probe_of(call, module_at(model, loss.head_key))
            if probe is not None:
                by_head.setdefault(loss.head_key, []).append(probe)
    findings: list[Finding] = []
    for head_key, probes in by_head.items():
        for probe in probes:
            findings += _check_alone(probe, padded_share)
        findings += _check_ignored(probes)
        findings += _check_activations(probes)
        findings += _check_classes(head_key, probes)
    return findings


def _check_alone(probe: LossProbe, padded_share: float) -> list[Finding]:
    loss, findings = probe.call.loss, []
    inverted = tried(prefers_wrong, probe)
    if inverted is not None and _weight(loss) > 0:
        correct, wrong = inverted
        findings.append(
            Finding(
                PREFERS_WRONG,
                f"{loss.title} is {correct:.4g} for a correct prediction and {wrong:.4g} for a wrong one, on "
                f"{_outputs(probe)}",
                loss.key,
                hint="it reads the output channels as another loss does: use one for this number of channels, or "
                "give the head one output a class",
            )
        )
    if tried(grows_with_pixels, probe):
        findings.append(
            Finding(
                SUMMED,
                f"{loss.title} grows with the number of pixels: it is their sum, not their mean",
                _setting(loss, "reduction"),
                hint="reduction='mean'",
            )
        )
    findings += _check_padding(probe, padded_share)
    lengths = loss.config.get("class_weight")
    if isinstance(lengths, (list, tuple)) and len(lengths) != probe.channels:
        findings.append(
            Finding(
                NO_EFFECT,
                f"class_weight of {loss.title} has length {len(lengths)} for {_outputs(probe)}, and is taken all the "
                "same: it does not weight class against class",
                f"{loss.key}.class_weight",
                hint=f"give {probe.channels} weights, one a class, or use loss_weight",
            )
        )
    return findings


def _outputs(probe: LossProbe) -> str:
    return f"{probe.channels} output{'s' * (probe.channels != 1)}"


def _weight(loss: DeclaredLoss) -> float:
    return float(loss.weight) if loss.has_usable_weight else 1.0


def _setting(loss: DeclaredLoss, name: str) -> str:
    return f"{loss.key}.{name}" if name in loss.config else loss.key


def _check_padding(probe: LossProbe, padded_share: float) -> list[Finding]:
    loss = probe.call.loss
    if padded_share <= _MUCH_PADDING or not tried(falls_with_ignored_share, probe):
        return []
    other = rebuilt_with(loss.config, avg_non_ignore=True)
    if other is None or tried(falls_with_ignored_share, probe, other) is not False:
        return []
    return [
        Finding(
            FALLS_WITH_PADDING,
            f"{loss.title} is averaged over ignored pixels, too, and {padded_share:.0%} of the smallest image is "
            "padding",
            _setting(loss, "avg_non_ignore"),
            hint="avg_non_ignore=True",
        )
    ]


def _check_ignored(probes: list[LossProbe]) -> list[Finding]:
    learned = {id(probe): tried(learns_from, probe, probe.ignore_index) for probe in probes}
    one_ignores = any(learns is False for learns in learned.values())
    findings = []
    for probe in probes:
        if not learned[id(probe)]:
            continue
        loss = probe.call.loss
        own = _own_ignored_label(probe)
        if own is not None:
            findings.append(
                Finding(
                    LEARNS_IGNORED,
                    f"{loss.title} learns from pixels with label {probe.ignore_index}, which its head ignores: it "
                    f"ignores {own}",
                    _setting(loss, "ignore_index"),
                    hint=f"give the loss ignore_index={probe.ignore_index}, too",
                )
            )
        elif not one_ignores:
            # Beside one that ignores them, this is what mmseg's own losses on regions do.
            findings.append(
                Finding(
                    LEARNS_IGNORED,
                    f"pixels with label {probe.ignore_index}, which the head ignores, move {loss.title}, and no other "
                    "loss of the head is there to say what they are not",
                    loss.key,
                    hint="use a loss that leaves them out, as CrossEntropyLoss does, alone or beside it",
                )
            )
    return findings


def _own_ignored_label(probe: LossProbe) -> int | None:
    """A label beyond the classes, other than the head's, that the loss ignores."""
    loss = probe.call.loss
    candidates = [loss.config.get("ignore_index"), getattr(loss.module, "ignore_index", None), 255]
    for label in candidates:
        is_another = isinstance(label, int) and label >= probe.labels and label != probe.ignore_index
        if is_another and tried(learns_from, probe, label) is False:
            return label
    return None


def _check_activations(probes: list[LossProbe]) -> list[Finding]:
    softmax = {id(probe): tried(reads_by_softmax, probe) for probe in probes}
    first = next((probe for probe in probes if softmax[id(probe)]), None)
    findings = []
    for probe in probes:
        loss = probe.call.loss
        if first is None or softmax[id(probe)] is not False:
            continue
        other = rebuilt_with(loss.config, use_sigmoid=False)
        if other is not None and tried(reads_by_softmax, probe, other):
            findings.append(
                Finding(
                    TWO_ACTIVATIONS,
                    f"{loss.title} reads each of the {probe.channels} outputs by itself, {first.call.loss.title} all "
                    "by softmax",
                    _setting(loss, "use_sigmoid"),
                    hint="use_sigmoid=False",
                )
            )
    return findings


def _check_classes(head_key: str, probes: list[LossProbe]) -> list[Finding]:
    untrained: set[int] | None = None
    for probe in probes:
        of_loss = tried(untrained_labels, probe)
        if of_loss is None:
            return []
        untrained = of_loss if untrained is None else untrained & of_loss
    left_out = sorted((untrained or set()) - {probe.ignore_index for probe in probes})
    if not left_out or len(left_out) >= probes[0].labels - 1:
        return []  # none, or the loss as a whole does nothing, which its gradients say
    names = ", ".join(map(str, left_out[:5]))
    blamed: Any = next((probe.call.loss for probe in probes if probe.call.loss.config.get("class_weight")), None)
    return [
        Finding(
            CLASS_NOT_TRAINED,
            f"no loss of {head_key} answers to pixels of class {names}",
            f"{blamed.key}.class_weight" if blamed else probes[0].call.loss.key,
            hint="give every class a weight above 0, or label what is not to be learned as ignored",
        )
    ]
