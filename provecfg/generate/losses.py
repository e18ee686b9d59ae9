"""What the heads of a cell are trained by: the entries of their `loss_decode`, and the terms of the total loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from provecfg.catalog.models import Model
from provecfg.equation import WeightedTerm
from provecfg.generate.cells import Cell
from provecfg.study.losses import AuxiliaryLoss
from provecfg.study.schema import Losses, Study


@dataclass(frozen=True, slots=True)
class AuxiliaryHead:
    """An FCN head on a stage of the backbone.

    Args:
        name: What the equation of the total loss calls it.
        key: Where the config has it.
        stage: Index of the stage, 0 the finest.
        in_channels: Channels of that stage.
        primary_weight: Factor on the primary loss.
        losses: Its `loss_decode`.
    """

    name: str
    key: str
    stage: int
    in_channels: int
    primary_weight: float
    losses: list[dict[str, Any]]


def decode_losses(study: Study, cell: Cell) -> list[dict[str, Any]]:
    """The `loss_decode` of the decode head; a head that is trained on sets of masks has no primary loss of pixels."""
    weight = study.head_weights.decode if cell.model.takes_pixel_losses else None
    return _head_losses(study.losses, cell.auxiliary, weight)


def decode_sampler(study: Study) -> dict[str, Any] | None:
    """The `sampler` of the decode head, or None."""
    ohem = study.losses.ohem
    return None if ohem is None else {"type": "HardPixelSampler", **ohem.model_dump()}


def auxiliary_heads(study: Study, cell: Cell) -> Iterator[AuxiliaryHead]:
    """The model's own auxiliary head, then those of deep supervision."""
    model = cell.model
    stages = [] if model.auxiliary_stage is None else [(model.auxiliary_stage, study.head_weights.auxiliary)]
    stages += [(head.stage, head.weight) for head in study.losses.deep_supervision]
    for index, (stage, weight) in enumerate(stages):
        yield AuxiliaryHead(
            name="auxiliary" if stage == model.auxiliary_stage else f"stage {stage}",
            key="auxiliary_head" if len(stages) == 1 else f"auxiliary_head[{index}]",
            stage=stage,
            in_channels=model.stage_channels[stage],
            primary_weight=weight,
            losses=_head_losses(study.losses, cell.auxiliary, weight),
        )


def _head_losses(
    losses: Losses, auxiliary: tuple[AuxiliaryLoss, ...], primary_weight: float | None
) -> list[dict[str, Any]]:
    primary = [] if primary_weight is None else [losses.primary.config(primary_weight)]
    return [*primary, *(loss.config() for loss in auxiliary)]


def weight_schedule_hooks(cell: Cell, heads: Sequence[AuxiliaryHead]) -> list[dict[str, Any]]:
    """The hook that changes the weights of the losses that have a schedule, if any has."""
    # From the first iteration to the last, since no `end_iter` is set: a shortened run keeps the whole curve.
    schedules = [
        {
            "head": key,
            "loss_name": loss.loss_name,
            "kind": loss.schedule.kind,
            "start": loss.schedule.start,
            "end": loss.schedule.end,
        }
        for key in ("decode_head", *(head.key for head in heads))
        for loss in cell.auxiliary
        if loss.schedule is not None
    ]
    return [{"type": "LossWeightScheduleHook", "schedules": schedules}] if schedules else []


def terms(study: Study, cell: Cell, heads: Sequence[AuxiliaryHead]) -> Iterator[WeightedTerm]:
    """The terms of the total loss, head by head."""
    primary, numbers = study.losses.primary, cell.model.numbers
    if cell.model.takes_pixel_losses:
        yield WeightedTerm(study.head_weights.decode, primary.title, "decode")
    else:
        yield WeightedTerm(numbers["class_weight"], "class CE", "queries")
        yield WeightedTerm(numbers["mask_weight"], "mask BCE", "queries")
        yield WeightedTerm(numbers["dice_weight"], "mask Dice", "queries")
    yield from (_term(loss, "decode") for loss in cell.auxiliary)
    for head in heads:
        yield WeightedTerm(head.primary_weight, primary.title, head.name)
        yield from (_term(loss, head.name) for loss in cell.auxiliary)


def _term(loss: AuxiliaryLoss, head: str) -> WeightedTerm:
    end = None if loss.schedule is None else loss.schedule.end
    title = loss.title if loss.scales is None else f"multi-scale {loss.title}"
    return WeightedTerm(loss.start_weight, title, head, end)


def equation_note(model: Model) -> str:
    """What the equation leaves unsaid, or ''."""
    if model.takes_pixel_losses:
        return ""
    # One output before the first decoder layer and one after each (mmdet, Mask2FormerHead.forward).
    outputs = model.numbers["decoder_layers"] + 1
    return f"[queries] terms are summed over the decoder's {outputs} outputs; [decode] is the last one's."


def title(study: Study, cell: Cell) -> str:
    """The losses in words."""
    losses = study.losses
    primary = "cross-entropy" if cell.model.takes_pixel_losses else "set losses"
    changes = [
        *(["class weights"] if losses.primary.class_weight is not None else []),
        *([f"label smoothing {losses.primary.label_smoothing:g}"] if losses.primary.label_smoothing else []),
        *(["hard pixels alone"] if losses.ohem is not None else []),
    ]
    if changes:
        primary += f" ({', '.join(changes)})"
    return " + ".join([primary, *(f"{_weight_words(loss)} {loss.title}" for loss in cell.auxiliary)])


def _weight_words(loss: AuxiliaryLoss) -> str:
    return f"{loss.weight:g}" if loss.schedule is None else f"{loss.schedule.start:g} to {loss.schedule.end:g}"
