"""What is wrong between the values of a study, each of them right by itself."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg import invariants, spelling
from provecfg.catalog.models import MODELS
from provecfg.findings import Finding
from provecfg.study.datasets import name_of
from provecfg.study.losses import AuxiliaryLoss
from provecfg.study.positions import LocatedFinding, Location
from provecfg.study.problems import CONFLICT
from provecfg.study.schema import Ohem, Study


def conflicts(study: Study) -> Iterator[LocatedFinding]:
    """What single values cannot show."""
    schedule, data = study.schedule, study.data
    if schedule.val_interval is not None:
        message = invariants.validation_within_run(schedule.val_interval, schedule.max_iters)
        if message:
            hint = f"at most {schedule.max_iters}, or leave it out"
            yield _conflict(("schedule", "val_interval"), message, hint)
    if schedule.warmup_iters is not None:
        message = invariants.warmup_within_run(schedule.warmup_iters, schedule.max_iters)
        if message:
            yield _conflict(("schedule", "warmup_iters"), message)
        elif schedule.warmup_iters == 1:
            text = "mmengine's warmup of a single iteration never ends"
            yield _conflict(("schedule", "warmup_iters"), text, "0 for none, or 2 and more")
    message = invariants.images_for_pooled_batch_norm(data.batch_size)
    pooled = [name for name in study.models if MODELS[name].normalises_pooled_features]
    if message and pooled:
        hint = f"batch_size: 2, or leave out {', '.join(pooled)}"
        yield _conflict(("data", "batch_size"), f"{pooled[0]} with {message}", hint)
    if isinstance(data.root, str) and len(study.datasets) > 1:
        example = ", ".join(f"{name}: DIR" for name in map(name_of, study.datasets))
        yield _conflict(
            ("data", "root"),
            f"one data root {data.root!r} for {len(study.datasets)} datasets",
            f"root: {{{example}}}",
        )
    if isinstance(data.root, dict):
        for name in data.root:
            if name not in study.resolved_datasets:
                yield _conflict(("data", "root", name), spelling.unknown("dataset", name, study.resolved_datasets))
    axes = {axis: list(map(str, getattr(study, axis))) for axis in ("models", "strategies", "seeds")}
    for axis, names in {**axes, "datasets": list(map(name_of, study.datasets))}.items():
        message = invariants.distinct(names)
        if message:
            yield _conflict((axis,), message)
    yield from _loss_conflicts(study)


def _loss_conflicts(study: Study) -> Iterator[LocatedFinding]:
    losses = study.losses
    weights = losses.primary.class_weight
    if weights is not None:
        yield from _class_weight_conflicts(study, weights)
    on_masks = [name for name in study.models if not MODELS[name].takes_pixel_losses]
    if on_masks and not losses.primary.is_plain:
        what = "class_weight" if weights is not None else "label_smoothing"
        message = f"{on_masks[0]} is trained on sets of masks: it has no cross-entropy over pixels for {what}"
        yield _conflict(("losses", "primary", what), message, f"leave out {', '.join(on_masks)}")
    if losses.ohem is not None:
        yield from _ohem_conflicts(study, losses.ohem)
    stages = [head.stage for head in losses.deep_supervision]
    twice = invariants.distinct([str(stage) for stage in stages])
    if twice:
        yield _conflict(("losses", "deep_supervision"), f"two heads on one stage: {twice}")
    for name in study.models:
        if MODELS[name].auxiliary_stage in stages:
            message = f"{name} has its auxiliary head on stage {MODELS[name].auxiliary_stage} already"
            yield _conflict(("losses", "deep_supervision"), message, "another stage, or leave out the model")
    earlier: set[tuple[AuxiliaryLoss, ...]] = set()
    for index, selection in enumerate(losses.auxiliary):
        location = ("losses", "auxiliary", index)
        same = invariants.distinct([loss.registered for loss in selection])
        if same:
            yield _conflict(location, f"two losses of one kind in a head: {same}")
        if losses.auxiliary_weights and any(loss.schedule is not None for loss in selection):
            message = "a loss with a schedule takes its weight from there, so `auxiliary_weights` cannot vary it"
            yield _conflict(location, message, "leave out the schedule, or `auxiliary_weights`")
        if selection in earlier:
            yield _conflict(location, "this cell stands twice on the axis")
        earlier.add(selection)


def _class_weight_conflicts(study: Study, weights: tuple[float, ...]) -> Iterator[LocatedFinding]:
    location = ("losses", "primary", "class_weight")
    for name, dataset in study.resolved_datasets.items():
        if len(weights) != len(dataset.classes):
            message = f"{len(weights)} class weights for the {len(dataset.classes)} classes of {name}"
            yield _conflict(location, message)
    if not any(weights):
        yield _conflict(location, "every class weight is 0: nothing is trained")


def _ohem_conflicts(study: Study, ohem: Ohem) -> Iterator[LocatedFinding]:
    height, width = study.data.crop_size
    message = invariants.ohem_leaves_pixels_out(ohem.min_kept, height, width)
    if message:
        hint = f"min_kept: {height * width // 16}, a sixteenth of the crop, say"
        yield _conflict(("losses", "ohem", "min_kept"), message, hint)
    on_masks = [name for name in study.models if not MODELS[name].takes_pixel_losses]
    if on_masks:
        message = f"{on_masks[0]} is trained on sets of masks: it has no pixels to sample"
        yield _conflict(("losses", "ohem"), message, f"leave out {', '.join(on_masks)}")
    for index, selection in enumerate(study.losses.auxiliary):
        for loss in selection:
            if not loss.takes_pixel_weights:
                message = f"{loss.title} is no sum over pixels, so OHEM cannot choose its pixels"
                yield _conflict(("losses", "auxiliary", index), message, "leave out `ohem` or this loss")


def _conflict(location: Location, message: str, hint: str | None = None) -> LocatedFinding:
    return LocatedFinding(location, Finding(CONFLICT, message, hint=hint))
