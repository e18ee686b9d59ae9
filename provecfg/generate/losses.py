"""What the heads of a cell are trained by: the entries of their `loss_decode`, and the terms of the total loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provecfg.equation import WeightedTerm
from provecfg.generate.cells import Cell
from provecfg.study.bases import TAKES_PIXEL_LOSSES, Base, Head
from provecfg.study.losses import AuxiliaryLoss, CrossEntropy
from provecfg.study.schema import Losses, Study


@dataclass(frozen=True, slots=True)
class HeadLosses:
    """The losses of one head of a cell.

    Args:
        head: Of the base, or one that deep supervision adds.
        primary_weight: Factor on the primary loss; None where it has none.
        entries: Its `loss_decode`; None where the head keeps its own.
        sampler: Its `sampler`, or None.
        added: Channels of the stage that it sees, where deep supervision adds it.
        moved_to: Where the cell has the head, if elsewhere than the base.
    """

    head: Head
    primary_weight: float | None
    entries: list[dict[str, Any]] | None
    sampler: dict[str, Any] | None = None
    added: int | None = None
    moved_to: tuple[str | int, ...] = ()

    @property
    def key(self) -> str:
        """Where the config has it: `decode_head`, `auxiliary_head[1]`."""
        return "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.moved_to or self.head.path
        ).lstrip(".")


def head_losses(study: Study, cell: Cell) -> tuple[HeadLosses, ...]:
    """The losses of every head: the base's, decode heads first, then those of deep supervision."""
    base, losses = cell.model, study.losses
    heads = list(_of_base(study, cell))
    own = [head for head in base.heads if head.is_auxiliary]
    total = len(own) + len(losses.deep_supervision)
    if losses.deep_supervision and len(own) == 1:  # what was one head becomes the first of a list
        heads = [replace(entry, moved_to=("auxiliary_head", 0)) if entry.head is own[0] else entry for entry in heads]
    for index, extra in enumerate(losses.deep_supervision, start=len(own)):
        path: tuple[str | int, ...] = ("auxiliary_head",) if total == 1 else ("auxiliary_head", index)
        head = Head(f"stage {extra.stage}", path, "FCNHead", "each", extra.weight, extra.stage)
        entries = _entries(losses, cell.auxiliary, extra.weight)
        heads.append(HeadLosses(head, extra.weight, entries, added=base.stage_channels[extra.stage]))
    return tuple(heads)


def _of_base(study: Study, cell: Cell) -> Iterator[HeadLosses]:
    losses, ohem = study.losses, study.losses.ohem
    for head in cell.model.heads:
        if head.calls == "own" or (head.calls == "sets" and cell.model.refuses_auxiliary_losses):
            yield HeadLosses(head, None, None)
            continue
        is_main = head is cell.model.main_head
        weights = study.head_weights
        # The earlier heads of a cascade keep the base's own weight.
        chosen = weights.decode if is_main else weights.auxiliary if head.is_auxiliary else head.weight
        weight = None if head.calls == "sets" else chosen
        sampler = {"type": "HardPixelSampler", **ohem.model_dump()} if ohem is not None and is_main else None
        auxiliary = () if head.calls == "points" else cell.auxiliary
        yield HeadLosses(head, weight, _entries(losses, auxiliary, weight), sampler)


def _entries(losses: Losses, auxiliary: Sequence[AuxiliaryLoss], primary_weight: float | None) -> list[dict[str, Any]]:
    primary = [] if primary_weight is None else [losses.primary.config(primary_weight)]
    return [*primary, *(loss.config() for loss in auxiliary)]


def weight_schedule_hooks(cell: Cell, heads: Sequence[HeadLosses]) -> list[dict[str, Any]]:
    """The hook that changes the weights of the losses that have a schedule, if any has."""
    # From the first iteration to the last, since no `end_iter` is set: a shortened run keeps the whole curve.
    schedules = [
        {
            "head": losses.key,
            "loss_name": loss.loss_name,
            "kind": loss.schedule.kind,
            "start": loss.schedule.start,
            "end": loss.schedule.end,
        }
        for losses in heads
        if losses.entries is not None and losses.head.calls != "points"
        for loss in cell.auxiliary
        if loss.schedule is not None
    ]
    return [{"type": "LossWeightScheduleHook", "schedules": schedules}] if schedules else []


def terms(study: Study, cell: Cell, heads: Sequence[HeadLosses]) -> Iterator[WeightedTerm]:
    """The terms of the total loss, head by head."""
    for losses in heads:
        head = losses.head
        config = _config_of(cell.model, head) if losses.added is None else {}
        if head.calls == "sets":
            for key, title in (("loss_cls", "class CE"), ("loss_mask", "mask BCE"), ("loss_dice", "mask Dice")):
                yield WeightedTerm(_weight(config[key]), title, "queries")
        elif losses.entries is None:
            yield from (WeightedTerm(_weight(loss), _title(loss), head.name) for loss in _own_losses(config))
        if losses.primary_weight is not None:
            yield WeightedTerm(losses.primary_weight, study.losses.primary.title, head.name)
        if losses.entries is not None and head.calls != "points":
            yield from (_term(loss, head.name) for loss in cell.auxiliary)


def _config_of(base: Base, head: Head) -> Mapping[str, Any]:
    value: Any = base.model
    for step in head.path:
        value = value if step == 0 and isinstance(value, dict) else value[step]
    assert isinstance(value, dict)
    return value


def _own_losses(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    losses = config.get("loss_decode")
    return [loss for loss in (losses if isinstance(losses, list) else [losses]) if isinstance(loss, dict)]


def _weight(loss: Mapping[str, Any]) -> float:
    return float(loss.get("loss_weight", 1.0))


def _title(loss: Mapping[str, Any]) -> str:
    """A loss that is a head's own: by its class, but for mmseg's cross-entropy."""
    kind = str(loss.get("type", "")).rpartition(".")[2]
    return CrossEntropy.title if kind == CrossEntropy.registered else kind


def _term(loss: AuxiliaryLoss, head: str) -> WeightedTerm:
    end = None if loss.schedule is None else loss.schedule.end
    title = loss.title if loss.scales is None else f"multi-scale {loss.title}"
    return WeightedTerm(loss.start_weight, title, head, end)


_OF_MASK_HEAD = (
    "Trained on sets of masks by loss_cls, loss_mask and loss_dice, once for each decoder layer; the losses of",
    "loss_decode see the semantic scores that inference uses. (mmseg's Mask2FormerHead would drop loss_decode.)",
)


def model_notes(base: Base) -> tuple[str, ...]:
    """What is worth knowing where the config says the model, a line each."""
    notes = (base.note,) if base.note else ()
    return (*notes, *_OF_MASK_HEAD) if base.main_head.kind in TAKES_PIXEL_LOSSES else notes


def equation_note(base: Base) -> str:
    """What the equation leaves unsaid, or ''."""
    return " ".join(_notes(base))


def _notes(base: Base) -> Iterator[str]:
    for head in base.heads:
        config = _config_of(base, head)
        if head.calls == "sets":
            # One output before the first decoder layer and one after each (mmdet, Mask2FormerHead.forward); of
            # MaskFormer's, one after each.
            outputs = config["transformer_decoder"]["num_layers"] + (head.kind != "MaskFormerHead")
            text = f"[queries] terms are summed over the decoder's {outputs} outputs"
            yield f"{text}." if base.refuses_auxiliary_losses else f"{text}; [{head.name}] is the last one's."
        elif head.calls == "own":
            yield f"[{head.name}] losses are {head.kind}'s own, each on an output or target of its own."
        elif head.calls == "points":
            yield f"[{head.name}] is of points that are sampled where the head is unsure."
        if head.path[-1] == "kernel_generate_head":
            stages = base.model["decode_head"].get("num_stages", 0)
            yield f"[{head.name}] terms are summed over the head's {stages + 1} outputs."
        if isinstance(config.get("loss_se_decode"), dict):
            weight = _weight(config["loss_se_decode"])
            yield f"{head.kind} adds {weight:g} BCE of the classes that an image has."


def title(study: Study, cell: Cell) -> str:
    """The losses in words."""
    losses, calls = study.losses, cell.model.main_head.calls
    primary = {"sets": "set losses", "own": "losses of its own"}.get(calls, "cross-entropy")
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
